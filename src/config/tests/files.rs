use super::*;

use tempfile::TempDir;

struct Dir(TempDir);

impl Dir {
    fn new(files: &[(&str, &str)]) -> Dir {
        let dir = Dir(tempfile::tempdir().unwrap());
        for (name, text) in files {
            dir.write(name, text);
        }
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn load(&self) -> Result<Loaded, String> {
        load(&self.path("main.toml"), &nothing).map_err(|refused| {
            let text = refused.report.text(&refused.sources, Colour::Plain);
            text.replace(self.0.path().to_str().unwrap(), "DIR")
        })
    }

    fn load_taken(&self) -> Loaded {
        self.load().unwrap_or_else(|report| panic!("{report}"))
    }
}

const MAIN: &str = "\
include = [\"conf.d/*.toml\"]
listeners.http.address = \"0.0.0.0:80\"
[pools.app]
backends = [\"127.0.0.1:1\"]
[limits]
connections_max = 5
[[routes]]
pool = \"app\"
";

const TLS: &str = "\
[listeners.https]
address = \"0.0.0.0:443\"
tls.certificates = [{ chain = \"chain.pem\", key = \"key.pem\" }]
[[routes]]
respond = \"hello\"
";

fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn included_files_add_listeners_pools_and_routes_in_the_order_of_their_names() {
    let dir = Dir::new(&[
        ("main.toml", MAIN),
        ("conf.d/20-b.toml", "[[routes]]\npath = \"/b\"\npool = \"a\"\n"),
        (
            "conf.d/10-a.toml",
            "[pools.a]\nbackends = [\"unix:app.sock\"]\n[[routes]]\npath = \"/a\"\npool = \"a\"\n",
        ),
        ("conf.d/.hidden.toml", "nonsense"),
        ("conf.d/notes.txt", "nonsense"),
    ]);
    let loaded = dir.load_taken();
    let paths: Vec<String> =
        loaded.plan.routes.iter().map(|route| route.path.to_string()).collect();
    assert_eq!(paths, ["/", "/a", "/b"]);
    // A relative path begins where it was written.
    let socket = dir.path("conf.d/app.sock");
    assert_eq!(loaded.plan.pools[1].backends[0].address, plan::BackendAddress::Unix(socket));
    let named = ["main.toml", "conf.d/*.toml", "conf.d/10-a.toml", "conf.d/20-b.toml"];
    assert_eq!(loaded.plan.files, named.map(|name| dir.path(name)));
}

#[test]
fn what_two_files_say_is_reported_with_both_places() {
    let again = "[pools.app]\nbackends = [\"127.0.0.1:2\"]\n[limits]\nconnections_max = 6\n\
                 [[routes]]\npool = \"nobody\"\n";
    let dir = Dir::new(&[
        ("main.toml", MAIN),
        ("conf.d/a.toml", again),
        ("conf.d/b.toml", "include = \"c.toml\"\nworker = 1\n"),
    ]);
    golden(&root().join("tests/config/included.txt"), &dir.load().unwrap_err());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let dir = Dir::new(&[]);
    let missing = dir.load().unwrap_err();
    assert!(missing.contains("cannot read the configuration `DIR/main.toml`"), "{missing}");
    assert!(missing.contains("= help: `tidegate init` prints one to begin with"), "{missing}");
    fs::create_dir(dir.path("main.toml")).unwrap();
    assert!(dir.load().unwrap_err().contains("= help: this is a directory: name a file in it"));
    fs::remove_dir(dir.path("main.toml")).unwrap();
    dir.write("main.toml", "include = [\"other.toml\", \"none/*.toml\", \"*/x.toml\"]\n");
    golden(&root().join("tests/config/missing.txt"), &dir.load().unwrap_err());
}

#[test]
fn a_file_that_is_no_text_is_told_what_it_is() {
    let dir = Dir::new(&[]);
    let utf16: Vec<u8> = "\u{feff}a = 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, said) in [
        (&utf16[..], "this is UTF-16 (byte 1), save it as UTF-8"),
        (b"\xff\xfea\0", "this is UTF-16 (byte 1), save it as UTF-8"),
        (&utf16[2..], "this is UTF-16 (byte 1), save it as UTF-8"),
        (b"\x7fELF\x02\0\0\xff", "this is not text"),
        (b"# made by hand\0 = 1\n", "this is not text"),
        (b"a = 1\nb = \"\xe9\"\n", "this is not UTF-8: byte 12 in line 2; save it as UTF-8"),
    ] {
        fs::write(dir.path("main.toml"), bytes).unwrap();
        let report = dir.load().unwrap_err();
        assert!(report.contains(said), "{report}");
    }
}

#[test]
fn a_file_that_includes_itself_is_read_once_and_warned_of() {
    let text = MAIN.replace("conf.d/*.toml", "./main.toml");
    let loaded = Dir::new(&[("main.toml", &text)]).load_taken();
    assert_eq!(loaded.plan.routes.len(), 1);
    let warnings = loaded.warnings.text(&loaded.sources, Colour::Plain);
    assert!(warnings.contains("this file includes itself: `./main.toml`"), "{warnings}");
}

#[test]
fn what_is_swapped_or_odd_about_certificates_is_told() {
    let (leaf, key) = certificate("example.com");
    let (other, _) = certificate("other.example");
    let said = |chain: &str, key: &str| {
        let files = [("main.toml", TLS), ("chain.pem", chain), ("key.pem", key)];
        Dir::new(&files).load().unwrap_err()
    };
    let swapped = said(&key, &leaf);
    assert!(swapped.contains("`chain` names a key, and `key` a certificate"), "{swapped}");
    let files = [("main.toml", TLS), ("chain.pem", &*format!("{other}{leaf}{key}"))];
    let dir = Dir::new(&files);
    dir.write("key.pem", &format!("{key}{leaf}"));
    let loaded = dir.load_taken();
    let warnings = loaded.warnings.text(&loaded.sources, Colour::Plain);
    for said in [
        "chain.pem` has its chain out of order: its certificates are sent in the order of lines",
        "chain.pem` holds a private key too (line ",
        "key.pem` holds a certificate too, which is not read (line ",
    ] {
        assert!(warnings.contains(said), "{warnings}");
    }
}

#[test]
fn certificates_are_read_with_their_names_and_known_by_their_content() {
    let (chain, key) = certificate("example.com");
    let dir = Dir::new(&[("main.toml", TLS), ("chain.pem", &chain), ("key.pem", &key)]);
    let first = dir.load_taken().plan;
    let tls = first.listeners[0].tls.as_ref().unwrap();
    assert_eq!(&*tls.certificates[0].names[0], "example.com");
    assert!(
        first.files.contains(&dir.path("chain.pem")) && first.files.contains(&dir.path("key.pem"))
    );
    assert_eq!(first, dir.load_taken().plan, "the same files make an equal plan");
    let (chain, key) = certificate("example.com");
    dir.write("chain.pem", &chain);
    dir.write("key.pem", &key);
    assert_ne!(first, dir.load_taken().plan, "a renewed certificate makes another");
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_with_its_reason() {
    let (chain, key) = certificate("example.com");
    let (_, other) = certificate("example.com");
    let dir = Dir::new(&[("main.toml", TLS), ("chain.pem", &chain), ("key.pem", &other)]);
    let mismatch = dir.load().unwrap_err();
    dir.write("key.pem", "nothing");
    let nothing = dir.load().unwrap_err();
    dir.write("key.pem", &key);
    dir.write("chain.pem", &key);
    let swapped = dir.load().unwrap_err();
    fs::remove_file(dir.path("chain.pem")).unwrap();
    let missing = dir.load().unwrap_err();
    let all = [mismatch, nothing, swapped, missing].join("\n----\n\n");
    golden(&root().join("tests/config/certificates.txt"), &all);
}

#[test]
fn roots_of_a_pool_are_read() {
    let (chain, _) = certificate("ca");
    let main = "listeners.http.address = \"0.0.0.0:80\"\n[[routes]]\npool = \"app\"\n\
                [pools.app]\nbackends = [\"app:443\"]\ntls.ca = \"ca.pem\"\n";
    let dir = Dir::new(&[("main.toml", main), ("ca.pem", &chain)]);
    let plan = dir.load_taken().plan;
    let tls = plan.pools[0].tls.as_ref().unwrap();
    assert!(matches!(&tls.roots, plan::Roots::File { loaded, .. } if loaded.roots.len() == 1));
    assert!(plan.files.contains(&dir.path("ca.pem")));
}
