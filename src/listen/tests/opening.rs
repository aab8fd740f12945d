//! A connection that begins with a wish to upgrade, which is read before hyper has the connection.

use super::*;

/// A wish that the handler here does not grant.
fn upgrade(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
}

#[tokio::test]
async fn a_wish_that_is_not_granted_is_answered_and_the_requests_behind_it_too() {
    let (stand, address) = Stand::with(plain("a"));
    let all = upgrade("/name") + &upgrade("/head") + std::str::from_utf8(GET).unwrap();
    for split in [all.len(), 30, upgrade("/name").len(), upgrade("/name").len() + 30] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (first, last) = all.as_bytes().split_at(split);
        client.write_all(first).await.unwrap();
        // Time for what came to be read by itself, where that is the case to try.
        tokio::task::yield_now().await;
        client.write_all(last).await.unwrap();
        assert_eq!(answer(&mut client).await, "a", "{split}");
        let head = answer(&mut client).await;
        assert!(head.contains("\"upgrade\": \"websocket\""), "{split}: {head}");
        assert!(answer(&mut client).await.starts_with("client"), "{split}");
        assert!(ask(&mut client).await.starts_with("client"), "{split}");
    }
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_is_noticed_also_behind_what_it_sent() {
    let (stand, address) = Stand::with(plain("a"));
    for behind in ["", "early bytes"] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all((upgrade("/wait") + behind).as_bytes()).await.unwrap();
        stand.handler.arrived.acquire().await.unwrap().forget();
        client.write_all(behind.as_bytes()).await.unwrap();
        drop(client);
        stand.is_quiet().await;
    }
}

#[tokio::test]
async fn a_listener_that_closes_ends_who_is_silent_and_answers_who_waits() {
    let (mut stand, address) = Stand::with(plain("a"));
    let mut waits = TcpStream::connect(address).await.unwrap();
    waits.write_all(upgrade("/wait").as_bytes()).await.unwrap();
    stand.handler.arrived.acquire().await.unwrap().forget();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut late = TcpStream::connect(address).await.unwrap();
    until(|| stand.permits.open() == 3).await;
    stand.takes(&[]);
    late.write_all(upgrade("/name").as_bytes()).await.unwrap();
    assert!(rest(&mut late).await.ends_with("\r\n\r\na"));
    assert_eq!(rest(&mut silent).await, "");
    stand.handler.release.add_permits(1);
    assert!(rest(&mut waits).await.starts_with("HTTP/1.1 200 "));
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_wish_beyond_the_limits_of_a_head_is_refused() {
    let mut narrow = plain("a");
    narrow.limits.head_bytes_max = 256;
    narrow.limits.headers_max = 5;
    let (stand, address) = Stand::with(narrow);
    let with = |more: &str| upgrade("/name").replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
    let cases = [
        (with(&format!("X: {}", "x".repeat(256))), "431"),
        (with("X: y\r\nX: y\r\nX: y"), "431"),
        (with("X: \0"), "400"),
        (with("Content-Length: x"), "400"),
        (with("X: y\r\nX: y\r\nConnection: close"), "431"),
        (with("X: y\r\nConnection: close"), "200"),
    ];
    for (head, status) in cases {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let heard = rest(&mut client).await;
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {heard}");
    }
    stand.is_quiet().await;
}
