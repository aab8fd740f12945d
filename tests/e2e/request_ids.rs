//! `X-Request-Id`: whose is taken, and who reads it.

use http::{HeaderValue, Request};

use crate::actors::{Backend, Client, Head, drain, granted, until};
use crate::http2::{Front, Streams};
use crate::proxy::Proxy;
use crate::site::site;
use tokio::io::AsyncWriteExt;

const FIELD: &str = "x-request-id";

/// A backend that gives each answer an id of its own, which is nobody's.
async fn own_ids() -> Backend {
    Backend::script(|head, mut wire| async move {
        let answer = match head.is_upgrade() {
            true => granted(&head),
            false => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
        };
        let answer = answer.replacen("\r\n", "\r\nX-Request-Id: the-backends\r\n", 1);
        let _ = wire.write_all(answer.as_bytes()).await;
        drain(&mut wire).await;
    })
    .await
}

/// The only id in a head.
fn id(head: &Head) -> String {
    let all: Vec<&str> = head.all(FIELD).collect();
    let [id] = all[..] else { panic!("{all:?} in {head:?}") };
    id.to_owned()
}

/// Whether tidegate made it.
fn is_ours(id: &str) -> bool {
    id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// What comes of these lines of a client: the id that the backend reads, which the client is told.
async fn comes_of(client: Client, backend: &Backend, lines: &[&str], websocket: bool) -> String {
    let client = lines.iter().fold(client, |client, line| client.field("X-Request-Id", line));
    let answer = match websocket {
        true => client.handshake().await.0,
        false => client.request("POST", "hello").await.0,
    };
    let read = backend.heads();
    let read = id(read.last().expect("a request"));
    assert_eq!(id(&answer), read);
    read
}

#[tokio::test]
async fn an_id_is_taken_from_those_it_may_come_from_and_all_read_the_same() {
    let backend = own_ids().await;
    let trusting = "trusted_proxies = [\"127.0.0.1\"]";
    for (setting, is_trusted, is_taken) in [
        ("", false, false),
        ("", true, true),
        ("[log]\nrequest_id = \"trusted\"\n", true, true),
        ("[log]\nrequest_id = \"always\"\n", false, true),
        ("[log]\nrequest_id = \"never\"\n", true, false),
    ] {
        let site = site(&[&backend]).table(setting);
        let proxy = Proxy::start(&if is_trusted { site.listener(trusting) } else { site }).await;
        for websocket in [false, true] {
            let what = format!("{setting:?}, trusted: {is_trusted}, WebSocket: {websocket}");
            let came = comes_of(proxy.client(), &backend, &["6f1d-4:a"], websocket).await;
            assert_eq!(came == "6f1d-4:a", is_taken, "{what}: {came}");
            assert!(is_taken || is_ours(&came), "{what}: {came}");
            // What is no id, or not just one, is not taken from anyone.
            for bad in [&["a b"][..], &["a\"b"], &[&"a".repeat(129)], &["one", "two"], &[]] {
                let came = comes_of(proxy.client(), &backend, bad, websocket).await;
                assert!(is_ours(&came), "{what}: {bad:?} became {came}");
            }
        }
        proxy.stop().await;
    }
}

#[tokio::test]
async fn answers_of_our_own_have_the_id_unless_the_route_removes_it() {
    let backend = own_ids().await;
    let own = "[[routes]]\npath = \"/own\"\nrespond = \"well\"\n\
               [[routes]]\npath = \"/without\"\npool = \"chat\"\n\
               request_headers = { remove = [\"X-Request-Id\"] }\n\
               response_headers = { remove = [\"x-request-id\"] }\n\
               [[routes]]\npath = \"/other\"\npool = \"chat\"\n\
               request_headers = { set = { X-Request-Id = \"fixed\" } }\n\
               response_headers = { set = { X-Request-Id = \"fixed\" } }\n";
    let proxy = Proxy::start(&site(&[&backend]).table(own)).await;
    let mut ids = Vec::new();
    let (answer, _) = proxy.client().path("/own").request("GET", "").await;
    ids.push(id(&answer));
    // Refused before a route is looked for.
    let (answer, _) = proxy.client().path("/a%00").request("GET", "").await;
    assert_eq!(answer.status(), 400);
    ids.push(id(&answer));
    assert!(ids[0] != ids[1] && ids.iter().all(|id| is_ours(id)), "{ids:?}");
    for (path, wanted) in [("/without", &[][..]), ("/other", &["fixed"])] {
        let (answer, _) = proxy.client().path(path).request("GET", "").await;
        let head = backend.heads().pop().unwrap();
        for head in [answer, head] {
            assert_eq!(head.all(FIELD).collect::<Vec<_>>(), wanted, "{path}");
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_stream_has_an_id_of_its_own_on_a_connection_of_many() {
    let backend = own_ids().await;
    let front = Front::clear(&backend, "");
    let mut streams = front.client().await;
    let mut told = Vec::new();
    for websocket in [false, true, true] {
        let mut request = match websocket {
            true => Streams::handshake("/"),
            false => Request::get("http://localhost/").body(()).unwrap(),
        };
        request.headers_mut().insert(FIELD, HeaderValue::from_static("planted"));
        let (answer, _sending) = streams.ask(request, !websocket).await.unwrap();
        let ids: Vec<_> = answer.headers().get_all(FIELD).iter().cloned().collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        told.push(ids[0].to_str().unwrap().to_owned());
    }
    let read: Vec<String> = backend.heads().iter().map(id).collect();
    assert_eq!(told, read);
    assert!(told.iter().all(|id| is_ours(id)), "{told:?}");
    assert!(told[0] != told[1] && told[1] != told[2]);
    drop(streams);
    front.stop().await;
}

#[tokio::test]
async fn a_session_that_is_held_says_its_first_id_to_each_backend() {
    let first = Backend::echo("one").await;
    let second = Backend::echo("two").await;
    let site = site(&[&first, &second]).pool("balance = \"round_robin\"");
    let proxy = Proxy::start(&site.route("hold.resume = \"always\"")).await;
    let mut session = proxy.client().open().await;
    session.echo("hello").await;
    let (on, other) = if first.heads().is_empty() { (second, &first) } else { (first, &second) };
    let said = id(&on.head());
    drop(on);
    until("the other backend", || !other.heads().is_empty()).await;
    session.echo("still here").await;
    assert_eq!(id(&other.head()), said);
    session.close(1000, "").await;
    proxy.stop().await;
}
