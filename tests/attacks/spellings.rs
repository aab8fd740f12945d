//! Names of fields, as peers of HTTP/1.1 read them that know one spelling only.

use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, granted};
use crate::case::Table;
use crate::proxy::Proxy;
use crate::site::site;

/// Names as their specifications spell them.
const NAMES: [&str; 11] = [
    "Content-Type",
    "Cache-Control",
    "X-Own-Name",
    "ETag",
    "TE",
    "DNT",
    "WWW-Authenticate",
    "X-XSS-Protection",
    "Sec-GPC",
    "Content-MD5",
    "Last-Modified",
];

/// A head with all of them in small letters, twice.
fn lines() -> String {
    let lower = NAMES.map(str::to_lowercase).into_iter().filter(|name| name != "te");
    let line = |name: String| format!("{name}: 1\r\n{name}: 2\r\n");
    lower.map(line).collect()
}

#[tokio::test]
async fn names_are_spelt_as_in_their_specifications_whatever_they_came_as() {
    let backend = Backend::script(|head, mut wire| async move {
        let answer = match head.is_upgrade() {
            true => granted(&head).to_lowercase().replace("http/1.1", "HTTP/1.1"),
            false => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
        };
        let answer = answer.replacen("\r\n", &format!("\r\n{}", lines()), 1);
        let answer = with_accept(&answer, &granted(&head));
        let _ = wire.write_all(answer.as_bytes()).await;
        crate::actors::drain(&mut wire).await;
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    let mut table = Table::new("Spellings of names");
    let fields = format!("{}te: trailers\r\n", lines());
    for (what, head) in [
        ("a request", client.head("GET", &[])),
        ("a handshake", client.upgrade("AAAAAAAAAAAAAAAAAAAAAA==")),
    ] {
        let head = head.replacen("\r\n", &format!("\r\n{fields}"), 1).to_lowercase();
        let head = head.replace("http/1.1", "HTTP/1.1").replacen("get", "GET", 1);
        let head = head.replace("aaaaaaaaaaaaaaaaaaaaaa==", "AAAAAAAAAAAAAAAAAAAAAA==");
        let before = backend.heads().len();
        let (answer, _wire) = client.say(head.as_bytes()).await;
        let heads = backend.heads();
        for (which, names) in [
            ("upstream", &heads[before].fields),
            ("downstream", &answer.expect("an answer").fields),
        ] {
            let wrong = |name: &&str| {
                let known = NAMES.iter().chain(&HANDSHAKE);
                !known.clone().any(|known| known == name)
                    && known.clone().any(|known| known.eq_ignore_ascii_case(name))
                    || name.chars().next().is_some_and(char::is_lowercase)
            };
            let wrong: Vec<&str> =
                names.iter().map(|(name, _)| name.as_str()).filter(|name| wrong(name)).collect();
            let came = if wrong.is_empty() { "right".to_owned() } else { wrong.join(" ") };
            table.row(what, "9110 §5.1", which, &came, &[("right", &came)]);
        }
    }
    table.settle();
    proxy.stop().await;
}

const HANDSHAKE: [&str; 6] = [
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Upgrade",
    "Connection",
];

/// The answer with the value of `Sec-WebSocket-Accept` in its own letters.
fn with_accept(answer: &str, right: &str) -> String {
    let line = right.lines().find(|line| line.starts_with("Sec-WebSocket-Accept: "));
    let Some(line) = line else { return answer.to_owned() };
    let lower = line.to_lowercase();
    let (_, value) = line.split_once(": ").unwrap_or_default();
    answer.replace(&lower, &format!("sec-websocket-accept: {value}"))
}
