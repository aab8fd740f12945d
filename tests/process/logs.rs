//! The log's lines as a person and as a program read them: the same for both protocols, in both
//! formats.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::{HeaderValue, Request};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::actors::{Backend, Client, drain, frame};
use crate::front::Streams;
use crate::proxy::Proxy;

/// What differs from run to run.
const VARYING: [&str; 8] =
    ["timestamp", "pid", "session", "request_id", "client", "backend", "ms", "level"];

const FIELDS: [(&str, &str); 3] = [
    ("origin", "https://app.example"),
    ("user-agent", "a \"browser\"/1"),
    ("sec-websocket-protocol", "chat"),
];

/// What the lines about a session say besides, whatever the protocol.
const OPENED: &[(&str, &str)] = &[
    ("event", "session_opened"),
    ("listener", "tls"),
    ("host", "process.test"),
    ("uri", "/chat?token=…&room=…"),
    ("origin", "https://app.example"),
    ("user_agent", "a \"browser\"/1"),
    ("tls", "1.3"),
    ("route", "chat"),
    ("pool", "chat"),
    ("subprotocol", "chat"),
    ("deflate", "false"),
    ("target", "access"),
];

const ENDED: &[(&str, &str)] = &[
    ("event", "session_ended"),
    ("listener", "tls"),
    ("route", "chat"),
    ("pool", "chat"),
    ("end", "client_closed"),
    ("by", "client"),
    ("client_sent", "4001"),
    ("client_was_sent", "4001"),
    ("upstream_sent", "4001"),
    ("upstream_was_sent", "4001"),
    ("cut", "false"),
    ("client_messages", "0"),
    ("client_bytes", "8"),
    ("upstream_messages", "0"),
    ("upstream_bytes", "4"),
    ("target", "access"),
];

/// And about a handshake that is refused for its origin.
const REFUSED: &[(&str, &str)] = &[
    ("event", "request"),
    ("listener", "tls"),
    ("host", "process.test"),
    ("uri", "/closed?token=…&room=…"),
    ("origin", "https://app.example"),
    ("user_agent", "a \"browser\"/1"),
    ("tls", "1.3"),
    ("route", "closed"),
    ("status", "403"),
    ("why", "origin"),
    ("bytes", "0"),
    ("whole", "true"),
    ("target", "access"),
];

fn config(backend: SocketAddr, format: &str) -> String {
    format!(
        "log.format = \"{format}\"\n[pools.chat]\nbackends = [\"{backend}\"]\n\
         [[routes]]\nname = \"chat\"\npath = \"/chat\"\npool = \"chat\"\n\
         allowed_origins = \"any\"\n\
         [[routes]]\nname = \"closed\"\npath = \"/closed\"\npool = \"chat\"\n\
         allowed_origins = [\"https://else.example\"]\n"
    )
}

/// A session that ends with 4001, and a handshake that is refused, over HTTP/1.1.
async fn over_http1(proxy: &Proxy) {
    let client = Client::to(proxy.tls.parse().unwrap()).trusting(&proxy.path("chain.pem"));
    let client = client.host("process.test").path("/chat?token=s3cret&room=7");
    let client = FIELDS.iter().fold(client, |client, (name, value)| client.field(name, value));
    let session = client.open().await;
    session.close(4001, "").await;
    let (answer, _) = client.path("/closed?token=s3cret&room=7").handshake().await;
    assert_eq!(answer.status(), 403);
}

/// The same over HTTP/2.
async fn over_http2(proxy: &Proxy) {
    let tcp = TcpStream::connect(&proxy.tls).await.unwrap();
    let name = ServerName::try_from("process.test").unwrap();
    let tls = proxy.connector(&[b"h2"]).connect(name, tcp).await.unwrap();
    let mut streams = Streams::on(tls).await;
    let asking = |path: &str| {
        let mut request = Streams::handshake("/");
        *request.uri_mut() = format!("https://process.test{path}").parse().unwrap();
        for (name, value) in FIELDS {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        request
    };
    let (answer, mut sending) =
        streams.ask(asking("/chat?token=s3cret&room=7"), false).await.unwrap();
    assert_eq!(answer.status(), 200);
    let close = frame(0x88, &4001_u16.to_be_bytes(), Some([1, 2, 3, 4]));
    sending.send_data(close.into(), false).unwrap();
    let (answer, _) = streams.ask(asking("/closed?token=s3cret&room=7"), true).await.unwrap();
    assert_eq!(answer.status(), 403);
    proxy.wait("the session's end", || proxy.log().contains("session_ended")).await;
    drop((answer, sending, streams));
}

/// The access lines of this event.
fn lines(proxy: &Proxy, event: &str) -> Vec<String> {
    let log = proxy.log();
    let is_of = |line: &&str| line.contains("event") && line.contains(&format!("\"{event}\""));
    log.lines().filter(is_of).map(str::to_owned).collect()
}

/// A line's fields as text, but for those that vary.
fn fields(line: &str) -> BTreeMap<String, String> {
    let Value::Object(fields) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
    let shown = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let fields = fields.into_iter().filter(|(name, _)| !VARYING.contains(&&**name));
    fields.map(|(name, value)| (name, shown(value))).collect()
}

#[tokio::test]
async fn both_protocols_have_the_same_lines_as_json() {
    let backend = Backend::echo("a").await;
    for (protocol, is_http2) in [("http/1.1", false), ("h2", true)] {
        let proxy = Proxy::start(&config(backend.address(), "json")).await;
        match is_http2 {
            true => over_http2(&proxy).await,
            false => over_http1(&proxy).await,
        }
        proxy.wait("the lines", || lines(&proxy, "session_ended").len() == 1).await;
        proxy.wait("the refusal", || !lines(&proxy, "request").is_empty()).await;
        for (wanted, more) in [(OPENED, true), (ENDED, false), (REFUSED, true)] {
            let found = lines(&proxy, wanted[0].1);
            let [line] = &found[..] else { panic!("{}: {}", wanted[0].1, proxy.log()) };
            let text = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
            let mut wanted: BTreeMap<_, _> = wanted.iter().map(text).collect();
            let mut found = fields(line);
            if more {
                wanted.insert("protocol".to_owned(), protocol.to_owned());
            }
            // As the client writes it: an extended CONNECT on a stream, and the answer's text.
            for varies in ["method", "bytes"] {
                if wanted["event"] == "request" {
                    found.remove(varies);
                    wanted.remove(varies);
                }
            }
            assert_eq!(found, wanted, "{protocol}");
        }
        let id = |event: &str| {
            let line: Value = serde_json::from_str(&lines(&proxy, event)[0]).unwrap();
            (line["session"].clone(), line["request_id"].as_str().map_or(0, str::len))
        };
        assert_eq!(id("session_opened").0, id("session_ended").0);
        assert_eq!((id("session_opened").1, id("request").1), (20, 20));
    }
}

#[tokio::test]
async fn both_protocols_have_the_same_lines_as_text() {
    let backend = Backend::echo("a").await;
    for is_http2 in [false, true] {
        let proxy = Proxy::start(&config(backend.address(), "text")).await;
        match is_http2 {
            true => over_http2(&proxy).await,
            false => over_http1(&proxy).await,
        }
        proxy.wait("the lines", || lines(&proxy, "session_ended").len() == 1).await;
        proxy.wait("the refusal", || !lines(&proxy, "request").is_empty()).await;
        for wanted in [OPENED, ENDED, REFUSED] {
            let found = lines(&proxy, wanted[0].1);
            let [line] = &found[..] else { panic!("{}: {}", wanted[0].1, proxy.log()) };
            assert!(line.contains(" INFO access: event="), "{line}");
            for (name, value) in
                wanted.iter().filter(|(name, _)| !["target", "bytes"].contains(name))
            {
                let value = value.replace('"', "\\\"");
                let is_there = [format!(" {name}={value}"), format!(" {name}=\"{value}\"")];
                assert!(is_there.iter().any(|one| line.contains(one)), "{name}={value}: {line}");
            }
        }
    }
}

#[tokio::test]
async fn a_log_of_everything_names_no_file_of_the_machine_that_built_it() {
    let backend = Backend::script(|_, mut wire| async move {
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let _ = wire.write_all(answer).await;
        drain(&mut wire).await;
    })
    .await;
    let text = config(backend.address(), "json").replacen(
        "log.format",
        "log.filter = \"trace\"\nlog.format",
        1,
    );
    let proxy = Proxy::start(&text).await;
    let (answer, _) =
        Client::to(proxy.plain.parse().unwrap()).path("/chat").request("GET", "").await;
    assert_eq!(answer.status(), 200);
    let get = Request::get("http://localhost/chat").body(()).unwrap();
    let tcp = TcpStream::connect(&proxy.tls).await.unwrap();
    let name = ServerName::try_from("process.test").unwrap();
    let tls = proxy.connector(&[b"h2"]).connect(name, tcp).await.unwrap();
    let mut streams = Streams::on(tls).await;
    assert_eq!(streams.status(get).await.0, 200);
    proxy.wait("the lines", || lines(&proxy, "request").len() == 2).await;
    let log = proxy.log();
    let path = |line: &&str| {
        ["/registry/src/", "log.file", "/rustc/", env!("CARGO_MANIFEST_DIR")]
            .iter()
            .any(|path| line.contains(path))
    };
    assert_eq!(log.lines().find(path), None);
}

#[tokio::test]
async fn a_refused_reload_has_a_line_for_each_finding_and_a_command_says_who_gave_it() {
    let backend = Backend::echo("a").await;
    let good = config(backend.address(), "json");
    let proxy = Proxy::start(&good).await;
    proxy.configure(&format!("{good}colour = \"red\"\n[drain]\nwindow = \"5 parsecs\"\n"));
    proxy.signal(libc::SIGHUP);
    proxy.wait("the findings", || lines(&proxy, "finding").len() == 2).await;
    let findings: Vec<Value> =
        lines(&proxy, "finding").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let file = proxy.path("tidegate.toml").display().to_string();
    for (finding, code) in findings.iter().zip(["unknown-key", "type"]) {
        assert_eq!((&finding["level"], &finding["file"]), (&"ERROR".into(), &file.clone().into()));
        assert_eq!(finding["code"], code, "{finding}");
        assert!(finding["line"].as_u64().unwrap() > 10 && finding["column"].is_u64(), "{finding}");
        assert!(!finding["message"].as_str().unwrap().contains('\n'), "{finding}");
    }
    let log = proxy.log();
    let refused = log.lines().find(|line| line.contains("reload refused")).unwrap();
    let refused: Value = serde_json::from_str(refused).unwrap();
    assert_eq!((&refused["outcome"], &refused["findings"]), (&"refused_config".into(), &2.into()));
    proxy.configure(&good);
    for (order, flags) in [("reload", &["--dry-run"][..]), ("drain", &["--all", "--window", "1s"])]
    {
        let (code, said) = proxy.order(order, flags);
        assert_eq!(code, 0, "{said}");
    }
    proxy.wait("the commands", || lines(&proxy, "command").len() == 2).await;
    let commands: Vec<Value> =
        lines(&proxy, "command").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    // SAFETY: it only tells.
    let uid = unsafe { libc::getuid() };
    for (command, name, status) in [(&commands[0], "reload", 200), (&commands[1], "drain", 200)] {
        assert_eq!((&command["command"], &command["status"]), (&name.into(), &status.into()));
        assert_eq!(command["by_uid"], uid);
        assert!(command["by_pid"].as_u64().is_some_and(|pid| pid != u64::from(proxy.pid())));
    }
    assert!(commands[1]["request"].as_str().unwrap().contains("\"window\":\"1s\""));
}

#[tokio::test]
async fn live_sessions_have_a_line_so_often_and_a_reload_changes_how_often() {
    let backend = Backend::echo("a").await;
    let quiet = config(backend.address(), "json");
    let often = format!("log.session_every = \"1s\"\n{quiet}");
    let proxy = Proxy::start(&often).await;
    let client = Client::to(proxy.plain.parse().unwrap()).path("/chat");
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(client.open().await);
    }
    for session in &mut sessions {
        session.echo("seven b").await;
    }
    // Each of them, and again.
    let said = || {
        let lines = lines(&proxy, "session_live");
        let of = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap();
            (line["client_messages"] == 1).then(|| line["session"].to_string())
        };
        lines.iter().filter_map(of).collect::<Vec<_>>()
    };
    proxy
        .wait("two lines of each session", || {
            let mut times = BTreeMap::new();
            said().into_iter().for_each(|id| *times.entry(id).or_insert(0) += 1);
            times.len() == 5 && times.values().all(|times| *times > 1)
        })
        .await;
    let line: Value = serde_json::from_str(lines(&proxy, "session_live").last().unwrap()).unwrap();
    let opened: Value = serde_json::from_str(&lines(&proxy, "session_opened")[0]).unwrap();
    for same in ["route", "pool", "backend", "listener", "target", "level"] {
        assert_eq!(line[same], opened[same], "{same}");
    }
    // A masked frame, and one that is not.
    assert_eq!((&line["client_bytes"], &line["upstream_bytes"]), (&13.into(), &9.into()));
    assert!(line["ms"].is_u64() && line.get("end").is_none(), "{line}");

    // Off, at once and for live sessions; then on again.
    for (text, on) in [(&quiet, false), (&often, true)] {
        proxy.configure(text);
        assert_eq!(proxy.reload(&[]).0, 0, "{}", proxy.log());
        let before = lines(&proxy, "session_live").len();
        if on {
            let more = || lines(&proxy, "session_live").len() > before + 5;
            proxy.wait("lines again", more).await;
        } else {
            sessions[0].echo("more").await;
            tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
            // One that was asked just before may be written after the reload was answered.
            assert!(lines(&proxy, "session_live").len() <= before + 5, "{}", proxy.log());
        }
    }
    for session in sessions {
        session.close(1000, "").await;
    }
}

#[tokio::test]
async fn a_line_of_a_live_session_says_how_many_messages_were_pushed_to_it() {
    let backend = Backend::echo("a").await;
    let text = config(backend.address(), "json").replacen("path = ", "push = {}\npath = ", 1);
    let proxy = Proxy::start(&format!("log.session_every = \"1s\"\n{text}")).await;
    let client = Client::to(proxy.plain.parse().unwrap()).path("/chat");
    // Two workers write in any order.
    let proxy = &proxy;
    let opened = |count| {
        let is_there = move || lines(proxy, "session_opened").len() == count;
        proxy.wait("the line of a session", is_there)
    };
    let mut pushed = client.open().await;
    pushed.echo("here").await;
    opened(1).await;
    let quiet = client.open().await;
    opened(2).await;
    let opened = lines(proxy, "session_opened");
    let id = |line: &String| serde_json::from_str::<Value>(line).unwrap()["session"].clone();
    let first = id(&opened[0]).as_str().unwrap().to_owned();
    for _ in 0..3 {
        let (code, said) = proxy.order_meanwhile("push", &[&first, "--text", "hi"]).await;
        assert_eq!(code, 0, "{said}");
        assert_eq!(pushed.text().await, "hi");
    }
    let said = |id: &str, count: Value| {
        lines(proxy, "session_live").iter().any(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["session"] == id && line["pushed_messages"] == count
        })
    };
    proxy.wait("what was pushed", || said(&first, 3.into())).await;
    let other = id(&opened[1]).as_str().unwrap().to_owned();
    proxy.wait("a line of the other one", || said(&other, Value::Null)).await;
    assert!(!said(&other, 3.into()));
    drop((pushed, quiet));
}
