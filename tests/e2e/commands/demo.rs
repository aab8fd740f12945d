//! The demo: what its page shows, without a browser.

use std::time::Duration;

use super::*;
use crate::actors::within;

/// A running demo.
struct Shown {
    dir: TempDir,
    running: Running,
    https: SocketAddr,
    socket: String,
}

impl Shown {
    /// Starts it with these words; waits for its page.
    fn start(words: &[&str]) -> Shown {
        let dir = tempfile::tempdir().unwrap();
        let (https, http) = (free(), free());
        let ports = [https, http].map(|address| address.port().to_string());
        let ports = ["demo", "--https-port", &ports[0], "--http-port", &ports[1]];
        let mut running = Running::start(dir.path(), &[&ports, words].concat());
        let out = running.0.stdout.take().unwrap();
        let mut lines = BufReader::new(out).lines().map(Result::unwrap);
        let page = lines.next().unwrap();
        assert!(page.ends_with(&format!("https://localhost:{}/", https.port())), "{page}");
        let socket = format!("certs/dev/demo-{}.sock", https.port());
        Shown { dir, running, https, socket }
    }

    fn client(&self, address: SocketAddr) -> Client {
        Client::to(address).trusting(&self.dir.path().join("certs/dev/ca.pem"))
    }

    async fn session(&self, address: SocketAddr, path: &str) -> Session {
        let mut session = self.client(address).path(path).open().await;
        session.echo("hello").await;
        session
    }

    async fn facts(&self) -> serde_json::Value {
        let (head, body) =
            self.client(self.https).path("/demo/facts.json").request("GET", "").await;
        assert_eq!(head.status(), 200);
        serde_json::from_str(&body).unwrap()
    }

    /// The byte tunnel beside the proxy.
    async fn tunnel(&self) -> SocketAddr {
        let port = self.facts().await["tunnel"].as_u64().unwrap();
        SocketAddr::new(self.https.ip(), port.try_into().unwrap())
    }

    async fn order(&self, words: &[&str]) -> (i32, String, String) {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let (dir, socket) = (self.dir.path().to_owned(), self.socket.clone());
        let run = move || {
            let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
            all.extend(["--socket", &socket]);
            tidegate(&dir, &all)
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    fn end(self) {
        self.running.signal(libc::SIGINT);
        let (code, said) = self.running.end();
        assert_eq!(code, Some(0), "{said}");
    }
}

#[tokio::test]
async fn the_command_that_the_page_shows_reaches_every_tab_of_a_user() {
    let demo = Shown::start(&[]);
    let mut tabs = Vec::new();
    for _ in 0..3 {
        tabs.push(demo.session(demo.https, "/chat/socket?user=guest-1").await);
    }
    let mut other = demo.session(demo.https, "/chat/socket?user=guest-2").await;
    let facts = demo.facts().await;
    let command = facts["push"].as_str().unwrap().replace("USER", "guest-1");
    let words: Vec<&str> = command.split(' ').collect();
    let ["curl", "--unix-socket", socket, "-d", "'hello'", url] = words[..] else {
        panic!("{command}");
    };
    let path = url.trim_matches('\'').strip_prefix("http://localhost").unwrap();
    let mut wire = tokio::net::UnixStream::connect(demo.dir.path().join(socket)).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n");
    let ask = format!("{head}Connection: close\r\n\r\nhello");
    tokio::io::AsyncWriteExt::write_all(&mut wire, ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut wire, &mut answer);
    within("the answer", read).await.unwrap();
    assert!(answer.contains("\"queued\":3"), "{answer}");
    for tab in &mut tabs {
        assert_eq!(tab.text().await, "hello");
    }
    other.echo("nothing came before this").await;
    drop((tabs, other));
    demo.end();
}

#[tokio::test]
async fn the_demo_restarts_its_backends_and_only_what_is_not_held_notices() {
    let demo = Shown::start(&[]);
    let (head, body) = demo.client(demo.https).request("GET", "").await;
    assert_eq!((head.status(), head.get("content-type")), (200, "text/html; charset=utf-8"));
    assert!(body.contains("<title>tidegate demo</title>"));
    let mut held = demo.session(demo.https, "/held/socket").await;
    let plain = demo.session(demo.https, "/plain/socket").await;
    let tunnelled = demo.session(demo.tunnel().await, "/socket").await;

    let restart = demo.client(demo.https).path("/demo/restart");
    let (head, body) = restart.request("POST", "").await;
    assert_eq!((head.status(), body.contains("down_ms")), (200, true), "{body}");
    assert!(matches!(plain.ending().await, Ending::Close(1012, _)));
    assert_eq!(tunnelled.ending().await, Ending::Cut);
    // No backend is there: it is kept until one is.
    held.echo("kept").await;
    held.echo("still the same connection").await;

    let (code, out, err) = demo.order(&["sessions"]).await;
    assert_eq!((code, err.contains("listed: 1 of 1")), (0, true), "{out}{err}");
    held.send("/who").await;
    let on = held.text().await;
    let (_, status, _) = demo.order(&["status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["sessions"], 1, "{status}");
    // The command that the page shows moves it.
    let facts = demo.facts().await;
    let commands = facts["commands"].as_array().unwrap().iter();
    let mut commands = commands.map(|row| row[1].as_str().unwrap());
    let shown = commands.find(|command| command.contains(" move --from ")).unwrap();
    let words: Vec<_> = shown.split(' ').skip(1).take(3).chain(["--wait"]).collect();
    // The other backend was killed as well: it has sessions again once its ejection is over.
    let moved = async {
        let mut is_there = on == "backend two";
        while !is_there {
            let (code, _, err) = demo.order(&words).await;
            is_there = code == 0;
            assert!(is_there || err.contains("no other backend can take"), "{err}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within("the move", moved).await;
    held.send("/who").await;
    assert_eq!(held.text().await, "backend two");
    drop(held);
    demo.end();
}

#[tokio::test]
async fn the_demo_puts_a_visitors_own_backend_behind_wss() {
    let backend = Backend::echo("mine").await;
    let named = format!("ws://{}/chat", backend.address());
    let demo = Shown::start(&["--backend", &named, "--resume", "always"]);
    let facts = demo.facts().await;
    assert_eq!(facts["backend"], backend.address().to_string());
    assert_eq!((&facts["path"], &facts["resume"]), (&"/chat".into(), &"always".into()));
    let (head, body) = demo.client(demo.https).request("GET", "").await;
    assert_eq!((head.status(), body.contains("<title>tidegate demo</title>")), (200, true));
    for path in ["/held/chat", "/plain/chat", "/chat", "/"] {
        drop(demo.session(demo.https, path).await);
    }
    drop(demo.session(demo.tunnel().await, "/chat").await);
    let (head, _) = demo.client(demo.https).path("/demo/restart").request("POST", "").await;
    assert_eq!(head.status(), 404, "it is not ours to restart");
    tokio::task::spawn_blocking(move || demo.end()).await.unwrap();
}
