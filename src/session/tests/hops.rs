//! What one hop owes the next: who went before, how far a request goes, whom an upgrade is for.

use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn the_port_told_is_the_one_in_the_clients_url() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    for (host, port) in [("example.com", "80"), ("example.com:8443", "8443"), ("[::1]:81", "81")] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Port: 1\r\n\r\n");
        let (answer, _) = proxy.client().say(head.as_bytes()).await;
        assert_eq!(answer.unwrap().status(), 200);
        let seen = backend.heads().pop().unwrap();
        assert_eq!((seen.get("x-forwarded-port"), seen.get("x-forwarded-host")), (port, host));
    }
}

#[tokio::test]
async fn each_hop_is_named_both_ways_and_a_request_that_comes_round_is_refused() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let (answer, _) = proxy.client().field("Via", "1.0 fred").request("GET", "").await;
    let ours = answer.get("via").to_owned();
    assert!(ours.starts_with("1.1 tidegate-"), "{ours}");
    let lines: Vec<String> = backend.head().all("via").map(str::to_owned).collect();
    assert_eq!(lines, ["1.0 fred", &*ours]);
    let session = proxy.client().open().await;
    assert_eq!(backend.heads()[1].get("via"), ours);
    drop(session);
    let looped = || proxy.client().field("Via", &format!("1.0 fred, {ours}"));
    assert_eq!(looped().request("GET", "").await.0.status(), 508);
    assert_eq!(looped().handshake().await.0.status(), 508);
    assert_eq!(backend.heads().len(), 2);
}

#[tokio::test]
async fn a_pool_that_leads_back_takes_two_turns_and_no_more() {
    // Where the proxy will listen is known once it does: a backend stands before it.
    let address = Arc::new(std::sync::Mutex::new(None::<SocketAddr>));
    let round = Arc::clone(&address);
    let backend = Backend::script(move |head, mut wire| {
        let to = round.lock().unwrap().unwrap();
        async move {
            let via: Vec<&str> = head.all("via").collect();
            let text = format!("GET / HTTP/1.1\r\nHost: x\r\nVia: {}\r\n\r\n", via.join(", "));
            let (answer, _) = Client::to(to).say(text.as_bytes()).await;
            let status = answer.unwrap().status();
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            drop(wire.write_all(answer.as_bytes()).await);
        }
    })
    .await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    *address.lock().unwrap() = Some(proxy.address);
    assert_eq!(proxy.client().request("GET", "").await.0.status(), 508);
    assert_eq!(backend.heads().len(), 1);
}

#[tokio::test]
async fn options_go_as_far_as_they_may() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let asked = |left: &'static str| proxy.client().field("Max-Forwards", left);
    let (answer, _) = asked("0").request("OPTIONS", "").await;
    assert_eq!((answer.status(), answer.get("content-length")), (200, "0"));
    assert!(answer.get("allow").contains("OPTIONS"));
    assert!(backend.heads().is_empty());
    assert_eq!(asked("3").request("OPTIONS", "").await.0.status(), 200);
    assert_eq!(backend.heads()[0].get("max-forwards"), "2");
    // It counts for no other method, and what is no number is not ours to judge.
    asked("0").request("GET", "").await;
    asked("x").request("OPTIONS", "").await;
    assert_eq!(backend.heads()[1].get("max-forwards"), "0");
    assert_eq!(backend.heads()[2].get("max-forwards"), "x");
}

#[tokio::test]
async fn who_reads_trailers_says_so_to_one_hop() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let client = || proxy.client().field("TE", "trailers, deflate;q=0.5").field("Connection", "TE");
    client().request("GET", "").await;
    let seen = backend.head();
    assert_eq!((seen.get("te"), seen.get("connection")), ("trailers", "TE"));
}

#[tokio::test]
async fn a_426_keeps_the_protocols_it_is_about() {
    let answer = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0, HTTP/2.0\r\n\
                  Connection: Upgrade\r\nContent-Length: 0\r\n\r\n";
    let backend = Backend::answering(answer).await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let (head, _) = proxy.client().request("GET", "").await;
    assert_eq!((head.status(), head.get("upgrade")), (426, "TLS/1.0, HTTP/2.0"));
    assert!(head.get("connection").eq_ignore_ascii_case("upgrade"), "{head:?}");
}

#[tokio::test]
async fn a_101_has_no_length_whatever_its_backend_says() {
    let backend = Backend::script(|head, mut wire| async move {
        let right = actors::granted(&head);
        let answer = right.replacen("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", 1);
        wire.write_all(answer.as_bytes()).await.unwrap();
        let mut session = actors::Session::server(wire).await;
        while session.forward().await.is_ok() {}
    })
    .await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let (head, wire) = proxy.client().handshake().await;
    assert_eq!((head.status(), head.get("content-length")), (101, ""));
    drop(wire);
    proxy.client().open().await.echo("all the same").await;
}

#[tokio::test]
async fn an_old_client_learns_that_a_body_without_length_ends_the_connection() {
    let streaming = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    for (answer, keeps) in [(streaming, "close"), (sized, "keep-alive")] {
        let backend = Backend::answering(answer).await;
        let proxy = Proxy::before(&[&backend], |_| {}).await;
        let ask = "GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
        let (head, _) = proxy.client().say(ask.as_bytes()).await;
        let head = head.unwrap();
        assert_eq!((head.status(), head.get("connection")), (200, keeps));
        assert_eq!(head.get("transfer-encoding"), "");
    }
}

#[tokio::test]
async fn a_request_without_a_body_says_so_where_one_would_have_a_meaning() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    for (method, length) in [("POST", "0"), ("PUT", "0"), ("DELETE", ""), ("GET", "")] {
        let head = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n");
        proxy.client().say(head.as_bytes()).await;
        assert_eq!(backend.heads().pop().unwrap().get("content-length"), length, "{method}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_told_as_it_is() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Many: 1\r\n".repeat(200));
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(300_000));
    let name = "HTTP/1.1 200 OK\r\nno token: 1\r\nContent-Length: 0\r\n\r\n".to_owned();
    let coding = "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhi".to_owned();
    let garbage = "SSH-2.0-OpenSSH\r\n".to_owned();
    for (answer, why) in [
        (many, "the head of the backend's answer is too large"),
        (long, "the head of the backend's answer is too large"),
        (name, "the backend's answer cannot be read"),
        (coding, "the backend's answer has no clear length"),
        (garbage, "the backend's answer cannot be read"),
    ] {
        let backend = Backend::answering(answer.clone()).await;
        let proxy = Proxy::before(&[&backend], |_| {}).await;
        let (head, body) = proxy.client().request("GET", "").await;
        assert_eq!(
            (head.status(), body.trim_end()),
            (502, why),
            "{}",
            &answer[..20.min(answer.len())]
        );
        let (head, mut wire) = proxy.client().handshake().await;
        let body = actors::client::read_body(&head, &mut wire).await;
        assert_eq!(
            (head.status(), body.trim_end()),
            (502, why),
            "{}",
            &answer[..20.min(answer.len())]
        );
    }
}
