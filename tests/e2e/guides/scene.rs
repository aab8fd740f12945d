//! What guides are played in: a proxy between clients and two backends that echo.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Guide, Stage, Step};
use crate::actors::{Backend, Client, Ending, Session, free, within};

/// What the guide's proxy stands between.
struct Scene {
    _backends: Vec<Backend>,
    address: SocketAddr,
    admin: SocketAddr,
    proxy: Option<Child>,
    clients: Vec<JoinHandle<Ending>>,
}

impl Scene {
    async fn act(&mut self, stage: &mut Stage, step: Step) {
        match step {
            Step::Toml(toml) => {
                std::fs::write(stage.dir.path().join("tidegate.toml"), toml).unwrap();
            }
            Step::Typed(_) => {}
            Step::Cue(cue) => match &*cue.split(' ').collect::<Vec<_>>() {
                ["start"] => self.start(stage.dir.path()).await,
                ["clients", count, path] => {
                    for _ in 0..count.parse().unwrap() {
                        let mut session = Client::to(self.address).path(path).open().await;
                        session.echo("hello").await;
                        self.clients.push(tokio::spawn(ending(session)));
                    }
                }
                ["stop"] => self.stop(stage.dir.path()).await,
                other => panic!("a scene does not know what `{other:?}` is"),
            },
        }
    }

    async fn start(&mut self, dir: &Path) {
        self.move_addresses(&dir.join("tidegate.toml"));
        let log = File::create(dir.join("tidegate.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("run").current_dir(dir).stdout(Stdio::null()).stderr(log);
        command.env_remove("TIDEGATE_CONFIG").env_remove("TIDEGATE_CONTROL");
        self.proxy = Some(command.spawn().unwrap());
        until_status(dir, "the proxy", |status| !status.is_null()).await;
    }

    /// Where a file came from `tidegate init` its addresses are fixed ones, as no page names them.
    fn move_addresses(&self, file: &Path) {
        let text = std::fs::read_to_string(file).unwrap();
        let any = format!("0.0.0.0:{}", self.address.port());
        let text = text.replace("0.0.0.0:8080", &any);
        let admin = format!("[admin]\naddress = \"{}\" #", self.admin);
        std::fs::write(file, text.replace("[admin]  ", &admin)).unwrap();
    }

    /// The newest process takes the older ones along; each client has read its Close.
    async fn stop(&mut self, dir: &Path) {
        let pid = status(dir).await["pid"].as_i64().unwrap();
        // SAFETY: kill(2) takes no pointer; the process is a child's, which waits for it.
        assert_eq!(unsafe { libc::kill(pid as i32, libc::SIGTERM) }, 0);
        until_status(dir, "the end", |status| status.is_null()).await;
        for client in self.clients.drain(..) {
            assert!(matches!(client.await.unwrap(), Ending::Close(1012, _)));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        if let Some(proxy) = &mut self.proxy {
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

/// The end of a session, however long it takes.
async fn ending(mut session: Session) -> Ending {
    loop {
        if let Ok(Err(ending)) = timeout(Duration::from_secs(5), session.next()).await {
            return ending;
        }
    }
}

/// What `tidegate status` says; null where it says nothing. Backends and clients go on meanwhile,
/// on this thread.
async fn status(dir: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["status", "--json"]).current_dir(dir);
    command.env_remove("TIDEGATE_CONFIG").env_remove("TIDEGATE_CONTROL");
    let asked = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    serde_json::from_slice(&asked.unwrap().stdout).unwrap_or_default()
}

/// Waits until `tidegate status` says so.
async fn until_status(dir: &Path, what: &str, says: impl Fn(&Value) -> bool) {
    let asking = async {
        while !says(&status(dir).await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(what, asking).await;
}

/// Plays a guide before two backends that echo, which the page knows by these addresses.
async fn play(page: &str, backends: &[&str]) {
    let mut stage = Stage::new();
    let mut echoes = vec![Backend::echo("a").await, Backend::echo("b").await];
    // Tables are sorted by it, as text.
    echoes.sort_by_key(|backend| backend.address().to_string());
    let (address, admin) = (free(), free());
    stage.name("127.0.0.1:8080", address);
    stage.name("0.0.0.0:8080", format!("0.0.0.0:{}", address.port()));
    stage.name("127.0.0.1:9090", admin);
    for (shown, backend) in backends.iter().zip(&echoes) {
        stage.name(shown, backend.address());
    }
    let mut scene = Scene { _backends: echoes, address, admin, proxy: None, clients: Vec::new() };
    Guide::open(page).play(&mut stage, async |stage, step| scene.act(stage, step).await).await;
}

#[tokio::test]
async fn the_guide_to_operating_prints_what_it_says() {
    play("operating.md", &["192.0.2.17:9001", "192.0.2.18:9001"]).await;
}

#[tokio::test]
async fn the_first_file_does_what_its_guide_says() {
    play("first-file.md", &["127.0.0.1:3000"]).await;
}
