//! Everybody comes back at once: no backend sees more handshakes than its cap.

use std::time::Duration;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::scaled;
use crate::traffic::{self, Crowd, Ended, Kind, census};

/// The cap in the configuration.
const IN_FLIGHT_MAX: usize = 32;

#[tokio::test]
async fn a_rush_of_clients_never_exceeds_the_cap_of_handshakes() {
    let backend = Backend::start_on("127.0.0.1:0", Duration::from_millis(2));
    let proxy = Proxy::start(&format!(
        r#"
[limits]
connections_max = 20000
[pools.one]
backends = ["{}"]
connect_timeout = "50s"
handshake_timeout = "50s"
handshakes_in_flight_max = {IN_FLIGHT_MAX}
[[routes]]
path = "/"
pool = "one"
"#,
        backend.address
    ))
    .await;
    let kind = Kind { size_max: 4 * 1024, pause: Duration::from_millis(30) };
    let mut established = Crowd::new();
    established.join(scaled(20, 200), &proxy.plain, "/", kind).await;

    let mut rush = tokio::task::JoinSet::new();
    for _ in 0..scaled(300, 5_000) {
        let to = proxy.plain.clone();
        rush.spawn(async move { traffic::open(&to, "/").await });
    }
    let mut open = Vec::new();
    while let Some(opened) = rush.join_next().await {
        open.push(opened.unwrap().expect("everybody gets in"));
    }
    let most = backend.handshakes_most().await;
    println!("{} clients at once; handshakes in flight at most: {most}", open.len());
    assert!(most <= IN_FLIGHT_MAX, "{most} handshakes in flight, more than {IN_FLIGHT_MAX}");

    let ends = established.finish().await;
    assert!(ends.iter().all(|end| *end == Ended::Asked), "{}", census(&ends));
}
