//! Reloads under load: what did not change is not felt, what was removed is drained.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::scaled;
use crate::traffic::{Crowd, Ended, Kind, census};

/// Two pools behind two routes; `step` changes everything that is not theirs, and one timeout of
/// the route in use.
fn configuration(one: &Backend, two: Option<&Backend>, step: usize) -> String {
    let idle = 3_600 + step;
    let mut text = format!(
        r#"
[pools.one]
backends = ["{}"]
[[routes]]
path = "/one"
pool = "one"
relay = {{ idle_timeout = "{idle}s" }}
"#,
        one.address
    );
    if let Some(two) = two {
        let address = &two.address;
        let pool = format!("[pools.two]\nbackends = [\"{address}\"]\n");
        write!(text, "{pool}[[routes]]\npath = \"/two\"\npool = \"two\"\n").unwrap();
    }
    for other in 0..step % 7 {
        let route =
            format!("[[routes]]\npath = \"/other-{other}\"\nrespond = {{ status = 204 }}\n");
        text.push_str(&route);
    }
    text
}

#[tokio::test]
async fn reloads_of_other_things_are_not_felt_by_a_session() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = Proxy::start(&configuration(&one, Some(&two), 0)).await;
    let kind = Kind { size_max: 256 * 1024, pause: Duration::from_millis(scaled(40, 900) as u64) };
    let sessions = scaled(60, 1_000);
    let (mut ones, mut twos) = (Crowd::new(), Crowd::new());
    ones.join(sessions * 3 / 4, &proxy.plain, "/one", kind).await;
    twos.join(sessions / 4, &proxy.plain, "/two", kind).await;

    let reloads = scaled(40, 1_000);
    let first = proxy.generation();
    let mut early_kib = 0;
    for step in 1..=reloads {
        if step % 10 == 0 {
            proxy.new_certificate();
        }
        proxy.configure(&configuration(&one, Some(&two), step));
        proxy.reload_to(first + step as u64).await;
        let mut new = Crowd::new();
        new.join(1, &proxy.plain, "/one", kind).await;
        let ends = new.finish().await;
        assert_eq!(ends, [Ended::Asked], "a new session after reload {step}");
        if step == reloads / 10 {
            early_kib = proxy.memory_kib();
        }
    }
    let late_kib = proxy.memory_kib();
    assert_eq!(proxy.children(), "", "one process");
    println!("{reloads} reloads; RSS {early_kib} KiB after a tenth of them, {late_kib} at the end");
    println!("messages: {}", ones.shared.echoed.load(Ordering::Relaxed));
    assert!(late_kib < early_kib * 3 / 2, "RSS grew from {early_kib} to {late_kib} KiB");

    removal(&proxy, &one, reloads, ones, twos).await;
}

/// The second half: pool `two` goes. Refused first, since it would end too many; then forced.
async fn removal(proxy: &Proxy, one: &Backend, step: usize, ones: Crowd, twos: Crowd) {
    let generation = proxy.generation();
    std::fs::write(proxy.path("tidegate.toml"), "[[routes]\npath = ").unwrap();
    let (code, said) = proxy.reload(&[]);
    assert_ne!(code, 0, "a broken file is refused: {said}");
    assert!(said.contains("tidegate.toml"), "the report names the file: {said}");

    proxy.configure(&configuration(one, None, step));
    let (code, said) = proxy.reload(&[]);
    assert_ne!(code, 0, "a quarter of the sessions is over `reload.drain_max`: {said}");
    assert_eq!(proxy.generation(), generation, "a refused configuration changes nothing");
    let told = scaled(15, 250).to_string();
    assert!(said.contains(&told), "the refusal tells how many, {told}: {said}");

    let (code, said) = proxy.reload(&["--force"]);
    assert_eq!(code, 0, "{said}");
    let ends = twos.ended().await;
    assert!(ends.iter().all(|end| *end == Ended::Close(1012)), "{}", census(&ends));
    let ends = ones.finish().await;
    assert!(ends.iter().all(|end| *end == Ended::Asked), "{}", census(&ends));
}
