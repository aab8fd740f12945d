use tokio::net::TcpSocket;

use super::secure::{client_hello, connect_from, half_shaken, secured};
use super::*;

/// A connection from another address than all others here.
async fn stranger(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 9, 9], 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// One request of a stranger, answered soon.
async fn stranger_is_served(to: SocketAddr) {
    let served = async {
        let mut client = stranger(to).await;
        ask(&mut client).await
    };
    let served = tokio::time::timeout(Duration::from_secs(10), served).await;
    assert!(served.unwrap().starts_with("client Some(127.0.9.9"));
}

async fn silent(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut silent = Vec::new();
    for _ in 0..count {
        silent.push(TcpStream::connect(to).await.unwrap());
    }
    silent
}

fn evicted(stand: &Stand) -> u64 {
    stand.metrics.listener(&Arc::from("a")).evicted.get()
}

#[tokio::test]
async fn clients_that_send_no_hello_or_half_of_one_take_no_handshake() {
    let (mut listener, connector) = secured("a");
    listener.limits.handshakes_in_flight_max = 1;
    let (stand, address) = Stand::with(listener);
    let hello = client_hello();
    let mut mute = silent(address, 40).await;
    for (at, client) in mute.iter_mut().enumerate().skip(20) {
        client.write_all(&hello[..at]).await.unwrap();
    }
    until(|| stand.permits.open() == 40).await;
    let mut client = connect_from(&connector, stranger(address).await).await.unwrap();
    assert!(ask(&mut client).await.starts_with("client Some(127.0.9.9"));
    // One that sends the rest is served as well.
    mute[39].write_all(&hello[39..]).await.unwrap();
    mute[39].read_u8().await.unwrap();
}

#[tokio::test]
async fn one_address_gets_no_more_than_its_share_of_handshakes() {
    let (mut listener, connector) = secured("a");
    listener.limits.handshakes_in_flight_max = 8;
    let (stand, address) = Stand::with(listener);
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(half_shaken(address).await);
    }
    let mut one_more = TcpStream::connect(address).await.unwrap();
    one_more.write_all(&client_hello()).await.unwrap();
    assert_eq!(rest(&mut one_more).await, "");
    stand.refused(Rejection::Handshakes).await;
    let mut client = connect_from(&connector, stranger(address).await).await.unwrap();
    ask(&mut client).await;
}

#[tokio::test]
async fn silent_connections_make_room_the_oldest_of_the_greediest_first() {
    let mut stand = Stand::new(2, 20, None);
    let address = stand.takes(&[plain("a")])[0];
    let mut greedy = silent(address, 20).await;
    until(|| stand.permits.open() == 20).await;
    for _ in 0..3 {
        stranger_is_served(address).await;
    }
    assert!(evicted(&stand) >= 1);
    assert_eq!(rest(&mut greedy[0]).await, "");
    // Its own next one costs it another, and no stranger.
    let mut client = stranger(address).await;
    ask(&mut client).await;
    let _more = silent(address, 40).await;
    ask(&mut client).await;
}

#[tokio::test]
async fn idle_connections_make_room_and_those_at_work_do_not() {
    const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut stand, mut works) = (Stand::new(1, 4, None), Vec::new());
    let address = stand.takes(&[plain("a")])[0];
    for _ in 0..2 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(WAIT).await.unwrap();
        stand.handler.arrived.acquire().await.unwrap().forget();
        works.push(client);
    }
    let mut idle = silent(address, 2).await;
    for client in &mut idle {
        ask(client).await;
    }
    stranger_is_served(address).await;
    assert_eq!(rest(&mut idle[0]).await, "");
    ask(&mut idle[1]).await;
    stand.handler.release.add_permits(2);
    for client in &mut works {
        assert!(answer(client).await.starts_with("client"));
    }
}

#[test]
fn the_files_are_a_limit_where_there_are_few_of_them() {
    let limits = Limits::default();
    assert_eq!(Permits::new(&limits, 1, 256).max(), 88);
    assert_eq!(Permits::new(&limits, 1, usize::MAX).max(), 1_000_000);
}

#[tokio::test]
async fn behind_a_trusted_proxy_its_clients_are_counted_and_not_it() {
    let mut listener = plain("a");
    listener.trusted_proxies = Networks { nets: vec!["127.0.0.0/8".parse().unwrap()], unix: false };
    let mut stand = Stand::new(1, 100, Some(1));
    let address = stand.takes(&[listener])[0];
    let send = async |path: &str, client: &str| {
        let mut proxy = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        let head = format!("{head}X-Forwarded-For: {client}\r\n\r\n");
        proxy.write_all(head.as_bytes()).await.unwrap();
        proxy
    };
    let mut first = send("/wait", "2001:db8::1").await;
    stand.handler.arrived.acquire().await.unwrap().forget();
    for (client, status) in
        [("2001:db8::2:3:4", "429"), ("2001:db8:0:1::1", "200"), ("10.0.0.1", "200")]
    {
        let heard = rest(&mut send("/", client).await).await;
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{client}: {heard}");
    }
    stand.handler.release.add_permits(1);
    assert!(rest(&mut first).await.starts_with("HTTP/1.1 200 "));
    let heard = rest(&mut send("/", "2001:db8::2").await).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    stand.is_quiet().await;
}
