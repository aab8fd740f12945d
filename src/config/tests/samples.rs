use super::*;

use tempfile::TempDir;
use toml::de::{DeTable, DeValue};

use crate::config::schema::{Place, places, schema};

/// A file of users as `htpasswd -B` writes it.
const USERS: &str = "ada:$2y$05$abcdefghijklmnopqrstuuPZ1d2jzHZ8zZ5uVX6Hq1c6xZ8r7rTqa\n";

/// A set of one key.
const KEYS: &str =
    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}";

/// A copy of `config/`, with the certificates its files name.
struct Samples(TempDir);

impl Samples {
    fn new() -> Samples {
        let samples = Samples(tempfile::tempdir().unwrap());
        copy(&root().join("config"), &samples.0.path().join("config"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&made.signing_key).unwrap().pem();
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(2124, 1, 1),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let issuer = rcgen::Issuer::new(params, &made.signing_key);
        let revoked = list.signed_by(&issuer).unwrap().pem().unwrap();
        for beside in ["config/certs", "config/recipes/certs"] {
            samples.write(&format!("{beside}/site.pem"), &chain);
            samples.write(&format!("{beside}/site.key"), &key);
            samples.write(&format!("{beside}/ca.pem"), &authority);
            samples.write(&format!("{beside}/backend.pem"), &authority);
            samples.write(&format!("{beside}/devices.crl"), &revoked);
        }
        samples.write("config/tools.htpasswd", USERS);
        samples.write("config/keys.json", KEYS);
        samples.write("config/revoked.txt", "mallory\n");
        samples.write(
            "config/conf.d/more.toml",
            "[[routes]]\npath = \"/more\"\npool = \"websocket\"\nallowed_origins = \"any\"\n",
        );
        samples
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn load(&self, name: &str) -> Loaded {
        let secret = |name: &str| name.ends_with("_SECRET").then(|| "0123456789".repeat(4));
        load(&self.0.path().join("config").join(name), &secret).unwrap_or_else(|refused| {
            panic!("{name}:\n{}", refused.report.text(&refused.sources, Colour::Plain))
        })
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.unwrap(), to.to_path_buf());
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn the_samples_are_taken_without_a_warning() {
    let samples = Samples::new();
    for name in ["minimal.toml", "tidegate.toml", "full.toml"] {
        let text = fs::read_to_string(root().join("config").join(name)).unwrap();
        if !is_built(&text) {
            continue;
        }
        let loaded = samples.load(name);
        let warnings = loaded.warnings.text(&loaded.sources, Colour::Plain);
        assert!(warnings.is_empty(), "{name}:\n{warnings}");
    }
}

#[test]
fn every_recipe_is_taken() {
    let samples = Samples::new();
    let mut recipes = 0;
    for entry in fs::read_dir(root().join("config/recipes")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let loaded = samples.load(&format!("recipes/{name}"));
        // Directories of files are on another machine.
        let elsewhere = |finding: &&Diagnostic| finding.code == "file";
        let findings = &loaded.warnings.findings;
        assert_eq!(findings.iter().filter(elsewhere).count(), findings.len(), "{findings:#?}");
        recipes += 1;
    }
    assert!(recipes >= 5);
}

#[test]
fn the_sample_is_the_set_up_it_replaces() {
    let samples = Samples::new();
    let plan = samples.load("tidegate.toml").plan;
    let tls: Vec<bool> = plan.listeners.iter().map(|listener| listener.tls.is_some()).collect();
    assert_eq!(tls, [false, true]);
    let identities: Vec<&str> = plan.routes.iter().map(|route| &*route.identity).collect();
    assert_eq!(identities, ["*/socketurl", "*/"]);
    assert_eq!(plan.pools[0].backends[0].address.to_string(), "127.0.0.1:58588");
    assert!(matches!(&plan.routes[1].action, plan::Action::Files(files) if files.root.is_dir()));
}

#[test]
fn the_full_sample_has_every_key() {
    let text = fs::read_to_string(root().join("config/full.toml")).unwrap();
    let table = DeTable::parse(&text).unwrap();
    let mut written = Vec::new();
    gather(table.get_ref(), "", &mut written);
    // The routes of a site have the keys of all routes.
    let of_sites: Vec<String> =
        written.iter().filter_map(|path| path.strip_prefix("sites.")).map(str::to_owned).collect();
    written.extend(of_sites.into_iter().filter(|path| path.starts_with("routes")));
    let root = schema().to_value();
    let missing: Vec<String> =
        places(&root).iter().map(Place::path).filter(|path| !written.contains(path)).collect();
    assert!(missing.is_empty(), "config/full.toml has no {missing:#?}");
}

/// Keys by path, as the schema names them.
fn gather(table: &DeTable<'_>, above: &str, found: &mut Vec<String>) {
    for (key, value) in table {
        let named = matches!(above, "listeners" | "pools" | "access");
        let key = if named { "NAME" } else { key.get_ref() };
        let path = if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
        gather_value(value.get_ref(), &path, found);
        found.push(path);
    }
}

fn gather_value(value: &DeValue<'_>, path: &str, found: &mut Vec<String>) {
    match value {
        DeValue::Table(table) => gather(table, path, found),
        DeValue::Array(list) => {
            list.iter().for_each(|one| gather_value(one.get_ref(), path, found));
        }
        _ => {}
    }
}

/// The configurations in a page that are meant to be copied, each with the line it begins on.
fn configurations(page: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        match (inside, line) {
            (false, "```toml") => found.push((number + 2, String::new())),
            (true, "```") => {}
            (true, line) => {
                let (_, text) = found.last_mut().expect("one has begun");
                *text += &format!("{line}\n");
                continue;
            }
            (false, _) => continue,
        }
        inside = !inside;
    }
    found
}

#[test]
fn every_configuration_of_the_pages_on_moving_here_is_taken() {
    let value = |name: &str| Some(format!("a value of {name} that is long enough"));
    for name in ["from-nginx.md", "from-others.md"] {
        let page = fs::read_to_string(root().join("config/guides").join(name)).unwrap();
        let all = configurations(&page);
        assert!(!all.is_empty(), "{name} shows no configuration");
        for (line, text) in all {
            let path = Path::new("tidegate.toml");
            let loaded = load_from(path, text.as_bytes(), &value, NamedFiles::Skip);
            let said = |report: &Report, sources: &Sources| report.text(sources, Colour::Plain);
            let loaded = loaded.unwrap_or_else(|refused| {
                panic!("{name}:{line}: {}", said(&refused.report, &refused.sources))
            });
            assert_eq!(said(&loaded.warnings, &loaded.sources), "", "{name}:{line}");
        }
    }
}
