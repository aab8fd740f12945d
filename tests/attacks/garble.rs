//! Fields that a trusted proxy vouches for, dropped, too long, and garbled: never another's word.

use crate::actors::Head;
use crate::case::{Table, attack, request, serves_as_before};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

/// The client, as the trusted proxy saw it; what the client says of itself; the proxy.
const CLIENT: &str = "203.0.113.9";
const FORGED: &str = "6.6.6.6";
const PROXY: &str = "127.0.0.1";

/// What the proxy adds of the field it knows, in each state, and who the client then is.
fn states() -> Vec<(&'static str, Vec<String>, &'static str)> {
    let far = format!("{FORGED}, ").repeat(1000);
    let x_for = |line: String| vec![format!("X-Forwarded-For: {line}")];
    let forwarded = |line: String| vec![format!("Forwarded: {line}")];
    let lines = vec![format!("X-Forwarded-For: {FORGED}"), format!("X-Forwarded-For: {CLIENT}")];
    vec![
        ("X-Forwarded-For", x_for(format!("{FORGED}, {CLIENT}")), CLIENT),
        ("Forwarded", forwarded(format!("for={FORGED}, for={CLIENT}")), CLIENT),
        ("neither", vec![], PROXY),
        ("too long", x_for(format!("{far}{CLIENT}")), CLIENT),
        ("over lines", lines, CLIENT),
        ("garbled before it", x_for(format!("{FORGED}, \u{e9}, {CLIENT}")), CLIENT),
        ("an open quote before it", forwarded(format!("for=\"{FORGED}, for={CLIENT}")), CLIENT),
        ("garbled", x_for(format!("{FORGED}, {CLIENT}x")), PROXY),
        ("garbled behind it", x_for(format!("{FORGED}, \u{e9}")), PROXY),
        ("empty", x_for(String::new()), PROXY),
        ("Forwarded, garbled", forwarded(format!("for={FORGED}, for=\"")), PROXY),
    ]
}

/// What the client says in fields that the proxy may not know.
const SAID: [&str; 4] = [
    "Forwarded: for=6.6.6.6;host=evil;proto=https",
    "X-Real-IP: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded: for=6.6.6.6",
];

/// The last hop that a chain tells of, the proxy itself aside.
fn client_of(chain: &str) -> String {
    let mut hops: Vec<&str> = chain.split(", ").collect();
    hops.pop();
    let last = hops.last().copied().unwrap_or(PROXY);
    last.strip_prefix("for=").unwrap_or(last).to_owned()
}

#[tokio::test]
async fn nobody_elses_word_is_taken_for_a_field_that_cannot_be_read() {
    let witness = Witness::start().await;
    let behind = site(&[]).backend(witness.address()).listener("trusted_proxies = \"127.0.0.1\"");
    let proxy = Proxy::start(&behind).await;
    let mut table = Table::new("Garbled fields of a trusted proxy");
    for (name, added, client) in states() {
        // Where the proxy knows `Forwarded`, or nothing, its client's own does not come through.
        let knows_x_for = added.iter().any(|line| line.starts_with("X-Forwarded-For"));
        let said = SAID.iter().filter(|line| knows_x_for || !line.starts_with("Forwarded"));
        let sent: Vec<&str> = added.iter().map(String::as_str).chain(said.copied()).collect();
        let before = witness.heads().len();
        let outcome = attack(&proxy.client(), &request("GET /a", &sent, "")).await;
        let head: Head = witness.heads()[before].clone();
        let told = |name: &str| head.all(name).collect::<Vec<_>>().join(" | ");
        let chains = [client_of(&told("x-forwarded-for")), client_of(&told("forwarded"))];
        let came = format!("{} {} {}", chains[0], chains[1], told("x-real-ip"));
        let wanted = [client; 3].join(" ");
        let spelt = told("x_forwarded_for") + &told("x-forwarded");
        let pairs = [("200 /a, kept", &*outcome), (&*wanted, &*came), ("", &*spelt)];
        table.row(name, "7239 §8.1", &outcome, &came, &pairs);
    }
    table.settle();
    serves_as_before(&proxy).await;
    proxy.stop().await;
}
