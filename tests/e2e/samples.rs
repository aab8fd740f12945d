//! Every sample in `config/` starts, and the main one does what its comments say.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tidegate::config::plan::{Address, BackendAddress, Plan};

use crate::actors::{Backend, Certificates};
use crate::proxy::Proxy;

/// The samples, in a place where the certificates they name are.
struct Samples {
    dir: TempDir,
}

impl Samples {
    fn new() -> Samples {
        let (dir, certificates) = (tempfile::tempdir().unwrap(), Certificates::new(&["localhost"]));
        let config = dir.path().join("config");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), &config);
        for place in ["config/certs", "config/recipes/certs"] {
            copy(certificates.path(), &dir.path().join(place));
            let place = dir.path().join(place);
            fs::write(place.join("devices.crl"), certificates.revoked()).unwrap();
            fs::copy(place.join("ca.pem"), place.join("backend.pem")).unwrap();
        }
        let user = format!("ada:{}\n", bcrypt::hash("secret", 4).unwrap());
        fs::write(config.join("tools.htpasswd"), user).unwrap();
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let keys = format!("{{\"kty\":\"oct\",\"k\":\"{key}\"}}");
        fs::write(config.join("keys.json"), keys).unwrap();
        fs::write(config.join("revoked.txt"), "mallory\n").unwrap();
        Samples { dir }
    }

    /// What a sample means, but that it listens on free ports.
    fn plan(&self, name: &str) -> Plan {
        let file = self.dir.path().join("config").join(name);
        let secret = |name: &str| name.ends_with("_SECRET").then(|| "0123456789".repeat(4));
        let loaded = tidegate::config::load(&file, &secret).unwrap_or_else(|refused| {
            panic!("{}", refused.report.text(&refused.sources, tidegate::report::Colour::Plain))
        });
        let mut plan = Arc::unwrap_or_clone(loaded.plan);
        for (number, listener) in plan.listeners.iter_mut().enumerate() {
            // Each at an address of its own: that is what a listener is known by.
            let ip = Ipv4Addr::new(127, 0, 0, number as u8 + 1);
            Arc::make_mut(listener).address = Address::Inet(SocketAddr::from((ip, 0)));
        }
        if let Some(admin) = &mut plan.admin {
            admin.address.set_port(0);
        }
        if let Some(control) = &mut plan.control {
            control.socket = self.dir.path().join("control.sock");
        }
        plan.drain.delay = Default::default();
        plan.drain.window = Default::default();
        plan
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn a_fresh_clone_is_checked_without_a_step_before() {
    let clone = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), &clone.path().join("config"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.arg("check").current_dir(clone.path()).env_remove("TIDEGATE_CONFIG");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "config/tidegate.toml can be taken\n");
    assert_eq!(fs::read_dir(clone.path()).unwrap().count(), 1, "a check makes nothing");
}

#[tokio::test]
async fn every_sample_starts() {
    let samples = Samples::new();
    let mut names = vec!["minimal.toml".to_owned(), "full.toml".to_owned()];
    for recipe in fs::read_dir(samples.dir.path().join("config/recipes")).unwrap() {
        let name = recipe.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".toml") {
            names.push(format!("recipes/{name}"));
        }
    }
    assert!(names.len() > 6, "{names:?}");
    for name in names {
        let proxy = Proxy::start_plan(samples.plan(&name));
        proxy.stop().await;
    }
}

#[tokio::test]
async fn the_main_sample_serves_its_page_and_its_socket_plain_and_over_tls() {
    let samples = Samples::new();
    let backend = Backend::echo("a").await;
    let mut plan = samples.plan("tidegate.toml");
    let (host, port) = (backend.address().ip().to_string().into(), backend.address().port());
    let pool = Arc::make_mut(&mut plan.pools[0]);
    pool.backends[0].address = BackendAddress::Inet { host, port };
    let proxy = Proxy::start_plan(plan);
    let plain = proxy.client_of("http");
    let authority = samples.dir.path().join("certs/dev/ca.pem");
    let https = proxy.client_of("https").trusting(&authority);
    for client in [plain, https] {
        let (head, body) = client.clone().request("GET", "").await;
        assert_eq!((head.status(), body.contains("<html")), (200, true), "{body}");
        let socket = client.path("/socketurl/room");
        socket.open().await.echo("hello").await;
        assert_eq!(socket.request("GET", "").await.0.get("x-backend"), "a");
    }
    let healthy = proxy.admin().path("/healthz").request("GET", "").await;
    assert_eq!(healthy.0.status(), 200);
    proxy.stop().await;
}
