//! The example of a backend that confirms a resumption from a store, before the defaults of `hold`.

// Its `main` is for who runs it.
#[allow(dead_code)]
#[path = "../../../config/examples/resume/store.rs"]
mod store;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::*;
use crate::actors::Ending;

const SESSIONS: usize = 20;

/// The example at work in a thread of its own.
struct Example {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Example {
    fn start(address: SocketAddr, store: &Path) -> Example {
        let listening = std::net::TcpListener::bind(address).unwrap();
        listening.set_nonblocking(true).unwrap();
        let address = listening.local_addr().unwrap();
        let directory = store.to_str().unwrap().to_owned();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listening = TcpListener::from_std(listening).unwrap();
                tokio::select! {
                    served = store::serve(listening, directory) => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        Example { address, end, thread }
    }

    /// It is gone with all of its connections, and says nothing.
    fn kill(self) -> SocketAddr {
        drop(self.end);
        self.thread.join().unwrap();
        self.address
    }
}

#[tokio::test]
async fn sessions_go_on_where_they_were_with_a_backend_that_finds_them_in_its_store() {
    let dir = TempDir::new().unwrap();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut backends = [Example::start(free, dir.path()), Example::start(free, dir.path())];
    let [one, two] = [0, 1].map(|index| backends[index].address);
    let proxy = Proxy::start(&site(&[]).backend(one).backend(two).route("hold = {}")).await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let mut session = proxy.client().open().await;
        session.send("hello").await;
        assert_eq!(session.text().await, "1: hello");
        sessions.push(session);
    }
    for count in [2, 4] {
        let addresses = backends.map(Example::kill);
        until_held(&proxy, SESSIONS as u64).await;
        for session in &mut sessions {
            session.send("kept").await;
        }
        backends = addresses.map(|address| Example::start(address, dir.path()));
        for session in &mut sessions {
            assert_eq!(session.text().await, format!("{count}: kept"));
            session.send("on").await;
            assert_eq!(session.text().await, format!("{}: on", count + 1));
        }
    }
    let addresses = backends.map(Example::kill);
    until_held(&proxy, SESSIONS as u64).await;
    fs::read_dir(dir.path())
        .unwrap()
        .for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
    let backends = addresses.map(|address| Example::start(address, dir.path()));
    for session in sessions {
        let ending = session.ending().await;
        assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    }
    for backend in backends {
        backend.kill();
    }
    proxy.stop().await;
}

#[test]
fn the_guide_shows_the_examples_as_they_are() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let guide = fs::read_to_string(config.join("guides/resume.md")).unwrap();
    for (name, language) in
        [("stateless.mjs", "js"), ("store.mjs", "js"), ("store.py", "python"), ("store.rs", "rust")]
    {
        let file = fs::read_to_string(config.join("examples/resume").join(name)).unwrap();
        let shown = format!("```{language}\n{file}```\n");
        assert!(guide.contains(&shown), "the guide shows another {name}; it should be:\n{shown}");
    }
}
