//! The PROXY header towards backends: a second proxy reads it, and tells its backend whom it names.

use crate::actors::{Backend, Certificates, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use crate::versions::{BOTH, SPEAKS_BOTH, get, handshake};

/// Who takes the header of this machine, in front of a backend.
async fn reading(backend: &Backend, certificates: Option<&Certificates>) -> Proxy {
    let site = site(&[backend]).listener("proxy_protocol.trusted = \"127.0.0.0/8\"");
    let site = match certificates {
        Some(certificates) => site.tls(certificates),
        None => site,
    };
    Proxy::start(&site).await
}

/// In front of both, telling them of clients that a proxy of this machine names.
fn telling(readers: &[&Proxy], version: &str) -> Site {
    let addresses = readers.iter().map(|one| one.client().address());
    let site = addresses.fold(site(&[]), Site::backend);
    let site = site.listener(SPEAKS_BOTH).listener("trusted_proxies = \"127.0.0.1\"");
    site.pool(&format!("proxy_protocol = \"{version}\""))
}

#[tokio::test]
async fn backends_are_told_each_clients_address_and_no_connection_is_another_clients() {
    for version in ["v1", "v2"] {
        let backends = [Backend::echo("a").await, Backend::echo("b").await];
        let readers = [reading(&backends[0], None).await, reading(&backends[1], None).await];
        let proxy = Proxy::start(&telling(&[&readers[0], &readers[1]], version)).await;
        let address = proxy.client().address();
        for http in BOTH {
            for number in 1..4 {
                for client in [format!("198.51.100.{number}"), format!("2001:db8::{number}")] {
                    let path = format!("/{http:?}/{number}/{}", client.len());
                    let from = [("X-Forwarded-For", client.as_str())];
                    assert_eq!(get(http, address, &path, &from).await.status, 200, "{path}");
                    let socket = format!("{path}/ws");
                    assert_eq!(handshake(http, address, &socket, &from).await.status, 101);
                    for path in [path, socket] {
                        let mut heads = backends.iter().flat_map(Backend::heads);
                        let head = heads.find(|head| head.second() == path).unwrap();
                        assert_eq!(head.get("x-real-ip"), client, "{path} {version}");
                    }
                }
            }
        }
        proxy.stop().await;
        for reader in readers {
            reader.stop().await;
        }
    }
}

#[tokio::test]
async fn the_header_goes_before_tls_and_a_client_without_a_proxy_is_told_with_its_port() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let reader = reading(&backend, Some(&certificates)).await;
    let ca = certificates.ca();
    let tls = format!("tls = {{ server_name = \"localhost\", ca = {ca:?} }}");
    let proxy = Proxy::start(&telling(&[&reader], "v2").pool(&tls)).await;
    proxy.client().path("/ws").open().await.echo("hello").await;
    let (head, _) = proxy.client().path("/get").request("GET", "").await;
    assert_eq!(head.status(), 200);
    for head in backend.heads() {
        assert_eq!(head.get("x-real-ip"), "127.0.0.1");
    }
    proxy.stop().await;
    reader.stop().await;
}

#[tokio::test]
async fn another_backend_is_told_after_one_that_is_away_and_by_a_session_that_is_held() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let one = reading(&backends[0], None).await;
    let other = reading(&backends[1], None).await;
    let toml = telling(&[&one, &other], "v2").route("hold = { resume = \"always\" }");
    let proxy = Proxy::start(&toml).await;
    let client = proxy.client().field("X-Forwarded-For", "198.51.100.7");
    let mut session = client.clone().path("/held").open().await;
    session.echo("before").await;
    let [first, second] = backends;
    let (reader, left, stays) = match first.heads().is_empty() {
        true => (other, first, one),
        false => (one, second, other),
    };
    reader.stop().await;
    until("the session to go on", || left.heads().len() == 1).await;
    session.echo("after").await;
    let (head, _) = client.path("/again").request("GET", "").await;
    assert_eq!(head.status(), 200);
    for head in left.heads() {
        assert_eq!(head.get("x-real-ip"), "198.51.100.7", "{head:?}");
    }
    drop(session);
    proxy.stop().await;
    stays.stop().await;
}
