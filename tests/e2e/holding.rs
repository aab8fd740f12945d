//! Sessions that are held: their clients stay while their upstream is away.

mod answers;
mod carriers;
mod examples;
mod lost;
mod outage;
mod proof;
mod queue;
mod replay;
mod terms;
mod turns;

pub use carriers::Clients;

use tungstenite::Message;

use crate::actors::{Backend, Head, Session, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// A site whose only route holds, with these keys, for backends that need nothing to go on.
fn holding(backends: &[&Backend], keys: &str) -> Site {
    site(backends).route(&format!("hold = {{ resume = \"always\", {keys} }}"))
}

/// The value of the first sample of a metric, with these labels.
fn sample(proxy: &Proxy, metric: &str, labels: &str) -> Option<u64> {
    let page = proxy.scrape();
    let begins = format!("{metric}{{");
    let line = page.lines().find(|line| line.starts_with(&begins) && line.contains(labels))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Waits until so many sessions have no upstream.
async fn until_held(proxy: &Proxy, sessions: u64) {
    until("sessions to be held", || {
        sample(proxy, "tidegate_sessions_held", "all") == Some(sessions)
    })
    .await;
}

/// Waits until a backend was sent so many heads, and gives the last one.
async fn last_head(backend: &Backend, heads: usize) -> Head {
    until("a handshake", || backend.heads().len() == heads).await;
    backend.heads().pop().unwrap()
}

/// The parts of a `Tidegate-Resume`: the token, the attempt, milliseconds since the loss.
fn resumed(head: &Head) -> (String, u32, u64) {
    let field = head.get("tidegate-resume");
    let mut parts = field.split("; ");
    let token = parts.next().unwrap().to_owned();
    let attempt = parts.next().and_then(|part| part.strip_prefix("attempt=")).unwrap();
    let lost = parts.next().and_then(|part| part.strip_prefix("lost=")).unwrap();
    assert_eq!(parts.next(), None);
    (token, attempt.parse().unwrap(), lost.parse().unwrap())
}

/// Sends texts, and expects none back yet.
async fn send_all(session: &mut Session, texts: &[&str]) {
    for text in texts {
        session.send(*text).await;
    }
}

/// The next texts.
async fn texts(session: &mut Session, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(session.text().await);
    }
    texts
}

/// What a backend's echo received, as text.
fn received(backend: &Backend) -> Vec<String> {
    backend.messages().into_iter().map(|message: Message| message.to_string()).collect()
}
