//! Informational answers (RFC 9110 §15.2): what a backend says before its answer reaches the client
//! at once, in every version of HTTP that knows it.

use std::future::poll_fn;

use http::Request;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::actors::{Backend, Head, granted, read_body, within};
use crate::http2::Front;
use crate::proxy::Proxy;
use crate::site::site;

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Powered-By: x\r\n\
                     Content-Length: 5\r\nConnection: X-Own\r\nX-Own: x\r\n\r\n";

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A backend that hints, and answers when it is let.
async fn hinting(hints: &'static str) -> (Backend, watch::Sender<bool>) {
    let (release, released) = watch::channel(false);
    let backend = Backend::script(move |head, mut wire| {
        let mut released = released.clone();
        async move {
            let mut head = Some(head);
            while let Some(asked) = head {
                wire.write_all(hints.as_bytes()).await.unwrap();
                released.wait_for(|is_released| *is_released).await.unwrap();
                match asked.is_upgrade() {
                    true => wire.write_all(granted(&asked).as_bytes()).await.unwrap(),
                    false => wire.write_all(ANSWER.as_bytes()).await.unwrap(),
                }
                head = Head::read(&mut wire).await;
            }
        }
    })
    .await;
    (backend, release)
}

#[tokio::test]
async fn early_hints_reach_a_client_before_the_answer_is_there() {
    let (backend, release) = hinting(HINTS).await;
    let cleaned = "response_headers = { remove = [\"X-Powered-By\"] }";
    let proxy = Proxy::start(&site(&[&backend]).route(cleaned)).await;
    let client = proxy.client();
    let mut wire = client.connect().await.unwrap();
    for _ in 0..2 {
        wire.write_all(client.head("GET", &[]).as_bytes()).await.unwrap();
        let hints = within("the hints", Head::read(&mut wire)).await.unwrap();
        assert_eq!(hints.first, "HTTP/1.1 103 Early Hints");
        let link = ("Link".to_owned(), "</a.css>; rel=preload".to_owned());
        assert_eq!(hints.fields, [link]);
        release.send_replace(true);
        let head = within("the answer", Head::read(&mut wire)).await.unwrap();
        assert_eq!((head.status(), &*read_body(&head, &mut wire).await), (200, "hello"));
    }
    // Of HTTP/1.0 no client knows of any.
    wire.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    let head = within("the answer", Head::read(&mut wire)).await.unwrap();
    assert_eq!(head.status(), 200);
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn those_before_a_handshakes_answer_and_unknown_ones_pass_and_100_does_not() {
    const SEVERAL: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                           HTTP/1.1 199 Own\r\nX: y\r\n\r\n";
    let (backend, release) = hinting(SEVERAL).await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    for request in [client.head("GET", &[]), client.upgrade("AAAAAAAAAAAAAAAAAAAAAA==")] {
        release.send_replace(false);
        let (first, mut wire) = client.say(request.as_bytes()).await;
        let second = within("another", Head::read(&mut wire)).await.unwrap();
        assert_eq!((first.unwrap().status(), second.status(), second.get("x")), (102, 199, "y"));
        release.send_replace(true);
        let last = within("the answer", Head::read(&mut wire)).await.unwrap();
        assert!([101, 200].contains(&last.status()), "{last:?}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn hints_without_end_are_cut_and_the_answer_comes() {
    let many = HINTS.repeat(1000);
    let backend = Backend::answering(many + ANSWER).await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    let (first, mut wire) = client.say(client.head("GET", &[]).as_bytes()).await;
    let (mut head, mut hints) = (first.unwrap(), 0);
    while head.status() == 103 {
        hints += 1;
        head = within("the next", Head::read(&mut wire)).await.unwrap();
    }
    assert_eq!((head.status(), hints), (200, 16));
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn early_hints_reach_a_stream() {
    let (backend, release) = hinting(HINTS).await;
    let front = Front::clear(&backend, "");
    let mut client = front.client().await;
    let request = Request::get("http://localhost/").body(()).unwrap();
    let (mut answer, mut sending) = client.begin(request).await;
    sending.send_data(bytes::Bytes::new(), true).unwrap();
    let hints = poll_fn(|cx| answer.poll_informational(cx));
    let hints = within("the hints", hints).await.unwrap().unwrap();
    assert_eq!(hints.status(), 103);
    assert_eq!(hints.headers()["link"], "</a.css>; rel=preload");
    let kept: Vec<_> = hints.headers().keys().map(|name| name.as_str()).collect();
    assert_eq!(kept, ["link", "x-powered-by"]);
    release.send_replace(true);
    assert_eq!(within("the answer", answer).await.unwrap().status(), 200);
    drop((sending, client));
    front.stop().await;
}
