//! Answers that are not sent to their end, and what the admin listener refuses.

use std::time::Duration;

use super::*;
use crate::backend::large_answers;

/// A request over HTTP/1.1, and the same over HTTP/2.
fn asking(path: &str) -> [(&'static str, Way, Vec<u8>); 4] {
    let text = format!("GET {path} HTTP/1.1\r\nHost: process.test\r\n\r\n").into_bytes();
    let frames = streams(
        1,
        &GET.map(|(name, value)| match name {
            ":path" => (name, path),
            ":authority" => (name, "process.test"),
            _ => (name, value),
        }),
    );
    [
        ("HTTP/1.1", H1, text.clone()),
        ("HTTP/1.1 over TLS", H1_TLS, text),
        ("h2c", H2C, frames.clone()),
        ("HTTP/2", H2, frames),
    ]
}

#[tokio::test]
async fn an_answer_that_is_not_sent_to_its_end_has_one_line_and_one_count() {
    let names = ["quick", "secure", "lenient"];
    let addresses = names.map(|_| free().to_string());
    let [quick, secure, lenient] = &addresses;
    let backend = large_answers().await;
    let proxy = Proxy::start(&format!(
        r#"drain = {{ delay = "0s", window = "0s", timeout = "1s" }}
[listeners.quick]
address = "{quick}"
http2.h2c = true
limits.answer_rate_min = "1MiB"
[listeners.secure]
address = "{secure}"
tls.certificates = [{{ chain = "chain.pem", key = "key.pem" }}]
limits.answer_rate_min = "1MiB"
[listeners.lenient]
address = "{lenient}"
http2.h2c = true
limits = {{ answer_rate_min = false, keep_alive_timeout = "10s" }}
[pools.large]
backends = ["{backend}"]
[[routes]]
pool = "large"
"#
    ))
    .await;
    let known: Vec<_> = names.into_iter().zip(addresses.clone()).collect();
    let at = |name: &str| known.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    const CUT: &str = "answers_cut";
    for (family, way, bytes) in asking("/broken") {
        is_seen(&proxy, &at, family, of(CUT, case("a broken answer", way, bytes, "answer_broken")))
            .await;
    }
    // All at once: their grace is a minute.
    let mut unread = Vec::new();
    for (_, way, bytes) in asking("/endless") {
        let lenient = if let Way::Clear(_) = way { Some(Way::Clear("lenient")) } else { None };
        for way in [Some(way), lenient].into_iter().flatten() {
            let mut wire = connect(&proxy, way, &at).await;
            wire.write_all(&bytes).await.unwrap();
            wire.flush().await.unwrap();
            unread.push(wire);
        }
    }
    let all = || {
        let [slow, untaken] =
            ["answer_rate_min", "answer_untaken"].map(|why| seen(&proxy, CUT, why));
        (slow, untaken) == ((4, 4), (2, 2))
    };
    let patience = Duration::from_secs(55);
    tokio::time::sleep(patience).await;
    proxy.wait("four that are too slow and two that take nothing", all).await;
    drop(unread);
    // A stop waits as long as `drain.timeout`.
    let (_, way, bytes) = asking("/endless")[0].clone();
    let mut wire = connect(&proxy, way, &at).await;
    wire.write_all(&bytes).await.unwrap();
    wire.read_u8().await.unwrap();
    proxy.signal(libc::SIGTERM);
    let line = || {
        let is_it = |line: &&str| line.contains("\"why\":\"stopped\"");
        proxy.log().lines().find(is_it).map(str::to_owned)
    };
    proxy.wait("its line", || line().is_some()).await;
    assert!(line().is_some_and(|line| line.contains("\"whole\":false")), "{line:?}", line = line());
}

#[tokio::test]
async fn what_the_admin_listener_refuses_has_one_line_and_one_count() {
    let proxy = Proxy::start("routes = [{ path = \"/\", respond = \"here\" }]\n").await;
    for (host, status, why) in [("evil.example", 403, "host"), ("a b", 400, "no_host")] {
        assert_eq!(proxy.get_of(host, "/metrics").unwrap().0, status);
        proxy.wait(why, || seen(&proxy, "admin_refused", why) == (1, 1)).await;
    }
}

#[tokio::test]
async fn a_connection_that_makes_room_has_one_line_and_one_count() {
    let text = "limits.silent_max = 4\nroutes = [{ path = \"/\", respond = \"here\" }]\n";
    let proxy = Proxy::start(text).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(&proxy.plain).await.unwrap());
    }
    let lines = || proxy.log().matches("\"why\":\"evicted\"").count();
    let counted = || proxy.metric("tidegate_connections_evicted_total") as usize;
    proxy.wait("four to make room", || (lines(), counted()) == (4, 4)).await;
    drop(silent);
}
