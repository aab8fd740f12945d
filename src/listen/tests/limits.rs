use super::*;

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_at_once_and_the_next_is_served() {
    let mut stand = Stand::new(2, 1, None);
    let address = stand.takes(&[plain("a")])[0];
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stand.handler.arrived.acquire().await.unwrap().forget();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(rest(&mut second).await, "");
    stand.refused(Rejection::Connections).await;
    stand.handler.release.add_permits(1);
    answer(&mut first).await;
    drop(first);
    stand.is_quiet().await;
    assert!(once(address).await.contains("200 OK"));
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let mut stand = Stand::new(1, 100, Some(1));
    let address = stand.takes(&[plain("a")])[0];
    let mut first = TcpStream::connect(address).await.unwrap();
    ask(&mut first).await;
    assert_eq!(once(address).await, "");
    stand.refused(Rejection::PerAddress).await;
    drop(first);
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_slow_head_is_answered_408_and_silence_is_just_closed() {
    let mut slow = plain("a");
    slow.limits.head_timeout = Duration::from_millis(200);
    let (stand, address) = Stand::with(slow);
    let mut drip = TcpStream::connect(address).await.unwrap();
    let (mut reads, mut writes) = drip.split();
    let dripping = async {
        for byte in GET.iter().cycle() {
            if writes.write_all(&[*byte, b'x']).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        heard = rest(&mut reads) => assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}"),
        () = dripping => {}
    }
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    drop(drip);
    stand.is_quiet().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_keep_alive_time() {
    let mut brief = plain("a");
    brief.limits.keep_alive_timeout = Duration::from_millis(100);
    let (stand, address) = Stand::with(brief);
    let mut client = TcpStream::connect(address).await.unwrap();
    ask(&mut client).await;
    ask(&mut client).await;
    assert_eq!(rest(&mut client).await, "");
    stand.is_quiet().await;
}

#[tokio::test]
async fn heads_that_are_too_large_or_no_http_get_their_status() {
    let mut narrow = plain("a");
    narrow.limits.head_bytes_max = 1024;
    narrow.limits.headers_max = 5;
    let (stand, address) = Stand::with(narrow);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(5));
    let cases = [(large, "431"), (many, "431"), ("\x01garbage\r\n\r\n".into(), "400")];
    for (head, status) in cases {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let heard = rest(&mut client).await;
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {heard}");
    }
    stand.is_quiet().await;
}

#[tokio::test]
async fn connections_that_stay_are_spread_over_the_workers() {
    let mut stand = Stand::new(2, 1000, None);
    let address = stand.takes(&[plain("a")])[0];
    let mut clients = Vec::new();
    let mut on = [0_usize; 2];
    for _ in 0..120 {
        let mut client = TcpStream::connect(address).await.unwrap();
        let told = ask(&mut client).await;
        on[usize::from(told.ends_with("Some(1)"))] += 1;
        clients.push(client);
    }
    assert!(on[0].abs_diff(on[1]) <= HOP_MARGIN + 60 / 32 + 2, "{on:?}");
    drop(clients);
    stand.is_quiet().await;
}

#[tokio::test]
async fn two_workers_stay_level_while_clients_come_and_leave_at_random() {
    const LIVE: usize = 600;
    let mut stand = Stand::new(2, 10_000, None);
    let address = stand.takes(&[plain("a")])[0];
    let mut live = Vec::new();
    for _ in 0..2_000 {
        let mut client = TcpStream::connect(address).await.unwrap();
        ask(&mut client).await;
        live.push(client);
        if live.len() > LIVE {
            live.swap_remove(fastrand::usize(..live.len()));
        }
    }
    until(|| stand.permits.open() == LIVE).await;
    let loads = stand.permits.loads();
    assert_eq!(loads.iter().sum::<usize>(), LIVE);
    assert!(loads[0].abs_diff(loads[1]) <= LIVE / 2 / 10, "{loads:?}");
    drop(live);
    stand.is_quiet().await;
}

#[tokio::test]
async fn an_answer_to_a_body_that_is_still_sent_is_read_by_its_client() {
    let (stand, address) = Stand::with(plain("a"));
    // Much more than all buffers on the way.
    const BYTES: usize = 24 << 20;
    let unread = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n");
    let garbage = "\x01garbage\r\n\r\n".to_owned();
    for (head, status) in [(unread, "200"), (garbage, "400")] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..BYTES >> 20 {
            client.write_all(&[b'x'; 1 << 20]).await.unwrap();
        }
        client.shutdown().await.unwrap();
        let heard = rest(&mut client).await.to_ascii_lowercase();
        assert!(heard.starts_with(&format!("http/1.1 {status} ")), "{heard}");
        assert!(heard.contains("connection: close"), "{heard}");
    }
    stand.is_quiet().await;
}
