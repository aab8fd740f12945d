//! Every file that a configuration names × what can happen to it.

use std::path::PathBuf;

use tokio::time::timeout;

use super::*;

/// A change is seen at the latest so soon, whatever else happens in its directory; it is a minute
/// where every change of that were waited for.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

/// A tree with a configuration in it: each file that it names is in a directory of its own.
struct Tree {
    dir: tempfile::TempDir,
    chain: String,
    key: String,
}

/// A file of the tree, by the name of its directory.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Named {
    Main,
    Include,
    Glob,
    Chain,
    Key,
    Roots,
}

impl Named {
    const EVERY: [Named; 6] =
        [Named::Main, Named::Include, Named::Glob, Named::Chain, Named::Key, Named::Roots];

    fn path(self) -> &'static str {
        match self {
            Named::Main => "main/tidegate.toml",
            Named::Include => "included/one.toml",
            Named::Glob => "conf.d/two.toml",
            Named::Chain => "chain/site.pem",
            Named::Key => "key/site.key",
            Named::Roots => "roots/ca.pem",
        }
    }
}

impl Tree {
    fn new() -> Tree {
        let made = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let tree = Tree { dir: tempfile::tempdir().unwrap(), chain, key };
        for named in Named::EVERY {
            fs::create_dir(tree.directory(named)).unwrap();
            fs::write(tree.file(named), tree.text(named, 1)).unwrap();
        }
        tree
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, named: Named) -> PathBuf {
        self.at(named.path())
    }

    fn directory(&self, named: Named) -> PathBuf {
        self.file(named).parent().unwrap().to_owned()
    }

    /// What the file says in this version; another plan in each.
    fn text(&self, named: Named, version: usize) -> String {
        let route =
            |path| format!("[[routes]]\npath = \"/{path}\"\nrespond.body = \"{version}\"\n");
        // Bytes that say nothing make another certificate all the same.
        let pem = |pem: &str| format!("{pem}{}", "\n".repeat(version));
        match named {
            Named::Main => format!(
                "workers = 1\ninclude = [\"../included/one.toml\", \"../conf.d/*.toml\"]\n\
                 [reload]\nwatch = true\ndebounce = \"20ms\"\n\
                 [listeners.https]\naddress = \"127.0.0.1:0\"\n\
                 [[listeners.https.tls.certificates]]\n\
                 chain = \"../chain/site.pem\"\nkey = \"../key/site.key\"\n\
                 [pools.app]\nbackends = \"127.0.0.1:9\"\ntls.ca = \"../roots/ca.pem\"\n\
                 [[routes]]\npool = \"app\"\n{}",
                route("main")
            ),
            Named::Include => route("one"),
            Named::Glob => route("two"),
            Named::Key => pem(&self.key),
            Named::Chain | Named::Roots => pem(&self.chain),
        }
    }
}

/// A process that watches the tree, and one of its files.
struct Watched<'a> {
    tree: &'a Tree,
    named: Named,
    supervisor: Supervisor,
}

impl Watched<'_> {
    fn file(&self) -> PathBuf {
        self.tree.file(self.named)
    }

    fn directory(&self) -> PathBuf {
        self.tree.directory(self.named)
    }

    fn text(&self, version: usize) -> String {
        self.tree.text(self.named, version)
    }

    /// Something is done that must be seen: it is taken.
    async fn is_taken(&self, what: &str, act: impl FnOnce()) {
        let before = self.supervisor.generation();
        act();
        let what = format!("{:?}: {what}", self.named);
        until(&what, || self.supervisor.generation() > before).await;
    }

    /// Something is done that must be seen, and leaves the tree without this file's meaning.
    async fn is_missed(&self, what: &str, act: impl FnOnce()) {
        if self.named == Named::Glob {
            // That no file fits is no fault.
            return self.is_taken(what, act).await;
        }
        self.is_refused(what, act).await;
    }

    async fn is_refused(&self, what: &str, act: impl FnOnce()) {
        let before = self.refusals();
        act();
        let what = format!("{:?}: {what}", self.named);
        until(&what, || self.refusals() > before).await;
    }

    fn refusals(&self) -> u64 {
        let scrape = self.supervisor.scrape(Exposition::OpenMetrics);
        let name = r#"tidegate_reloads_total{outcome="refused_config"} "#;
        scrape.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or(0)
    }
}

/// Does something to every file, each with a tree and a process of its own.
async fn each(prepare: impl Fn(&Tree, Named), act: impl AsyncFn(Watched<'_>)) {
    for named in Named::EVERY {
        let tree = Tree::new();
        prepare(&tree, named);
        let supervisor = watching(&tree.file(Named::Main));
        act(Watched { tree: &tree, named, supervisor }).await;
    }
}

/// Makes the file a link into `real`, a directory beside its own.
fn link_elsewhere(tree: &Tree, named: Named, real: &str, text: &str) {
    let (file, elsewhere) = (tree.file(named), tree.at(real));
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("real"), text).unwrap();
    let beside = file.with_extension("new");
    symlink(format!("../{real}/real"), &beside).unwrap();
    fs::rename(&beside, &file).unwrap();
}

#[tokio::test]
async fn a_file_that_vanishes_and_returns_is_read() {
    each(
        |_, _| {},
        async |watched| {
            let file = watched.file();
            watched.is_missed("removed", || fs::remove_file(&file).unwrap()).await;
            watched.is_taken("written again", || fs::write(&file, watched.text(2)).unwrap()).await;
            watched
                .is_taken("written once more", || fs::write(&file, watched.text(3)).unwrap())
                .await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_directory_that_vanishes_and_returns_is_read() {
    each(
        |_, _| {},
        async |watched| {
            let (file, directory) = (watched.file(), watched.directory());
            watched.is_missed("removed", || fs::remove_dir_all(&directory).unwrap()).await;
            let make = || {
                fs::create_dir(&directory).unwrap();
                fs::write(&file, watched.text(2)).unwrap();
            };
            watched.is_taken("made again", make).await;
            watched.is_taken("written", || fs::write(&file, watched.text(3)).unwrap()).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_directory_that_another_takes_the_place_of_is_read() {
    each(
        |_, _| {},
        async |watched| {
            let (file, directory) = (watched.file(), watched.directory());
            let (new, old) = (watched.tree.at("new"), watched.tree.at("old"));
            fs::create_dir(&new).unwrap();
            fs::write(new.join(file.file_name().unwrap()), watched.text(2)).unwrap();
            let exchange = || {
                fs::rename(&directory, &old).unwrap();
                fs::rename(&new, &directory).unwrap();
            };
            watched.is_taken("exchanged", exchange).await;
            watched.is_taken("written", || fs::write(&file, watched.text(3)).unwrap()).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_file_that_is_linked_elsewhere_is_read_there() {
    each(
        |_, _| {},
        async |watched| {
            let Watched { tree, named, .. } = watched;
            watched
                .is_taken("linked", || link_elsewhere(tree, named, "one", &watched.text(2)))
                .await;
            let real = tree.at("one/real");
            watched.is_taken("written", || fs::write(&real, watched.text(3)).unwrap()).await;
            watched.is_missed("removed", || fs::remove_file(&real).unwrap()).await;
            watched.is_taken("there again", || fs::write(&real, watched.text(4)).unwrap()).await;
            watched.is_missed("all removed", || fs::remove_dir_all(tree.at("one")).unwrap()).await;
            let make = || {
                fs::create_dir(tree.at("one")).unwrap();
                fs::write(&real, watched.text(5)).unwrap();
            };
            watched.is_taken("all there again", make).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_file_that_is_faulty_first_is_read_when_it_is_right() {
    each(
        |_, _| {},
        async |watched| {
            let Watched { tree, named, .. } = watched;
            watched.is_refused("broken", || fs::write(watched.file(), "nonsense [").unwrap()).await;
            watched.is_taken("right", || fs::write(watched.file(), watched.text(2)).unwrap()).await;
            watched.is_refused("linked", || link_elsewhere(tree, named, "one", "nonsense [")).await;
            let right = || fs::write(tree.at("one/real"), watched.text(3)).unwrap();
            watched.is_taken("right there", right).await;
        },
    )
    .await;
}

/// As Kubernetes mounts a ConfigMap: the file is a link through `..data`, which is exchanged.
fn publish(directory: &Path, name: &str, version: usize, text: &str) {
    let real = directory.join(format!("..{version}"));
    fs::create_dir(&real).unwrap();
    fs::write(real.join(name), text).unwrap();
    symlink(format!("..{version}"), directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
}

#[tokio::test]
async fn a_directory_published_as_kubernetes_does_is_read() {
    let prepare = |tree: &Tree, named: Named| {
        let file = tree.file(named);
        let name = file.file_name().unwrap().to_str().unwrap();
        publish(&tree.directory(named), name, 1, &tree.text(named, 1));
        fs::remove_file(&file).unwrap();
        symlink(format!("..data/{name}"), &file).unwrap();
    };
    each(prepare, async |watched| {
        let (file, directory) = (watched.file(), watched.directory());
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = |version| watched.text(version);
        watched.is_refused("faulty", || publish(&directory, name, 2, "nonsense [")).await;
        fs::remove_dir_all(directory.join("..1")).unwrap();
        for version in 3..=4 {
            watched
                .is_taken("published", || publish(&directory, name, version, &text(version)))
                .await;
            fs::remove_dir_all(directory.join(format!("..{}", version - 1))).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_is_a_link_is_read_where_it_leads() {
    let prepare = |tree: &Tree, named: Named| {
        fs::rename(tree.directory(named), tree.at("first")).unwrap();
        symlink("first", tree.directory(named)).unwrap();
    };
    each(prepare, async |watched| {
        let (file, directory) = (watched.file(), watched.directory());
        let second = watched.tree.at("second");
        fs::create_dir(&second).unwrap();
        fs::write(second.join(file.file_name().unwrap()), watched.text(2)).unwrap();
        let exchange = || {
            symlink("second", watched.tree.at("link")).unwrap();
            fs::rename(watched.tree.at("link"), &directory).unwrap();
        };
        watched.is_taken("exchanged", exchange).await;
        watched.is_taken("written", || fs::write(&file, watched.text(3)).unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn files_that_are_not_there_at_the_start_are_read_when_they_are() {
    // Only a glob may find nothing.
    let tree = Tree::new();
    fs::remove_dir_all(tree.directory(Named::Glob)).unwrap();
    let supervisor = watching(&tree.file(Named::Main));
    let watched = Watched { tree: &tree, named: Named::Glob, supervisor };
    fs::create_dir(watched.directory()).unwrap();
    watched.is_taken("written", || fs::write(watched.file(), watched.text(2)).unwrap()).await;
    let another = watched.directory().join("three.toml");
    let text = watched.text(1).replace("/two", "/three");
    watched.is_taken("another", || fs::write(&another, text).unwrap()).await;
    let dangling = watched.directory().join("four.toml");
    symlink("../elsewhere/four", &dangling).unwrap();
    watched.is_taken("removed", || fs::remove_file(&another).unwrap()).await;
    fs::create_dir(tree.at("elsewhere")).unwrap();
    let text = watched.text(1).replace("/two", "/four");
    let there = tree.at("elsewhere/four");
    watched.is_taken("a link that led nowhere", || fs::write(&there, text).unwrap()).await;
}

#[tokio::test]
async fn a_busy_file_beside_it_does_not_hold_a_change_up() {
    let tree = Tree::new();
    let busy = tree.at("main/own.log");
    let supervisor = watching(&tree.file(Named::Main));
    let watched = Watched { tree: &tree, named: Named::Main, supervisor };
    let writes = async {
        loop {
            fs::write(&busy, "a line").unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let change = watched.is_taken("beside a busy file", || {
        fs::write(watched.file(), watched.text(2)).unwrap();
    });
    tokio::select! {
        changed = timeout(NOTICED_WITHIN, change) => changed.unwrap(),
        () = writes => unreachable!("it has no end"),
    }
}

#[tokio::test]
async fn a_dry_run_leaves_the_watch_as_it_is() {
    let tree = Tree::new();
    let supervisor = watching(&tree.file(Named::Main));
    let ask = ReloadRequest { dry_run: true, ..ReloadRequest::default() };
    assert!(matches!(supervisor.reload(ask).await, Reloaded::Taken(_)));
    let watched = Watched { tree: &tree, named: Named::Key, supervisor };
    watched.is_taken("written", || fs::write(watched.file(), watched.text(2)).unwrap()).await;
}
