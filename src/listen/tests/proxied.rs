use super::*;
use crate::config::plan::ProxyProtocol;

/// A listener that expects the PROXY header, from these networks.
fn behind(trusted: &str) -> Listener {
    let trusted = Networks { nets: vec![trusted.parse().unwrap()], unix: false };
    let proxy = ProxyProtocol { trusted, timeout: Duration::from_millis(500) };
    Listener { proxy_protocol: Some(proxy), ..plain("a") }
}

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb";

#[tokio::test]
async fn the_client_is_who_the_header_says_however_its_bytes_arrive() {
    let (stand, address) = Stand::with(behind("127.0.0.0/8"));
    for header in [V1, V2] {
        for piece in [1, 7, 4096] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.set_nodelay(true).unwrap();
            let sent = [header, GET_AND_CLOSE].concat();
            for bytes in sent.chunks(piece) {
                client.write_all(bytes).await.unwrap();
                tokio::task::yield_now().await;
            }
            let heard = rest(&mut client).await;
            assert!(heard.contains("client Some(192.0.2.7:4711)"), "{heard}");
        }
    }
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_is_the_client() {
    let (_stand, address) = Stand::with(behind("127.0.0.0/8"));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&[b"PROXY UNKNOWN\r\n", GET_AND_CLOSE].concat()).await.unwrap();
    let expected = format!("client Some({})", client.local_addr().unwrap());
    let heard = rest(&mut client).await;
    assert!(heard.contains(&expected), "{heard}");
}

#[tokio::test]
async fn a_header_from_a_stranger_is_refused() {
    let (stand, address) = Stand::with(behind("10.0.0.0/8"));
    let mut client = TcpStream::connect(address).await.unwrap();
    let _ = client.write_all(&[V1, GET].concat()).await;
    assert_eq!(rest(&mut client).await, "");
    stand.refused(Rejection::ProxyUntrusted).await;
}

#[tokio::test]
async fn a_missing_or_slow_header_is_refused() {
    let (stand, address) = Stand::with(behind("127.0.0.0/8"));
    assert_eq!(once(address).await, "");
    stand.refused(Rejection::ProxyInvalid).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"PROXY TCP4").await.unwrap();
    assert_eq!(rest(&mut slow).await, "");
    stand.refused(Rejection::ProxyTimeout).await;
    stand.is_quiet().await;
}
