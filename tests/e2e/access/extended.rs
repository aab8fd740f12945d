//! Sessions whose end a backend puts off as it takes them up.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;

use super::tokens::{guarded, now, token};
use crate::actors::{Backend, Ending, Session, granted, until};
use crate::proxy::Proxy;
use crate::site::site;

/// A backend that says in its 101 when the session ends: so many seconds from now.
async fn extending(seconds: Arc<Mutex<Option<f64>>>) -> Backend {
    Backend::script(move |head, mut wire| {
        let seconds = *seconds.lock().unwrap();
        async move {
            let said = seconds.map(|seconds| {
                format!("Tidegate-Expires: {}\r\n\r\n", (now() + seconds).ceil() as u64)
            });
            let answer = granted(&head);
            let answer = match said {
                Some(said) => answer.trim_end().to_owned() + "\r\n" + &said,
                None => answer,
            };
            if wire.write_all(answer.as_bytes()).await.is_ok() {
                let mut session = Session::server(wire).await;
                while session.forward().await.is_ok() {}
            }
        }
    })
    .await
}

/// How long a session lasts whose token is good for two seconds, where its second backend says an
/// end so many seconds later, and which end it is.
async fn lasts(says: Option<f64>, session: &str) -> (f64, Ending) {
    let said = Arc::new(Mutex::new(says));
    let backends = [extending(Arc::clone(&said)).await, extending(said).await];
    let site = guarded(site(&backends.each_ref()), session);
    let proxy = Proxy::start(&site.route("hold = { resume = \"always\" }")).await;
    let begun = now();
    let client = proxy.client().field("Authorization", &format!("Bearer {}", token(2.5)));
    let (head, wire) = client.handshake().await;
    assert_eq!((head.status(), head.get("tidegate-expires")), (101, ""));
    let mut session = Session::client(wire).await;
    session.echo("before").await;
    let [one, other] = backends;
    let (first, second) = match one.heads().is_empty() {
        true => (other, one),
        false => (one, other),
    };
    first.kill().await;
    until("the second backend", || !second.heads().is_empty()).await;
    session.echo("after").await;
    let ending = session.ending().await;
    let lasted = now() - begun;
    proxy.stop().await;
    (lasted, ending)
}

#[tokio::test]
async fn a_backend_puts_the_end_off_as_far_as_the_rule_lets_it() {
    let expired = Ending::Close(4403, "expired".into());
    let (as_before, bounded, by_the_backend, sooner) = tokio::join!(
        lasts(Some(60.0), ""),
        lasts(Some(60.0), "session = { extend_max = \"5s\" }"),
        lasts(Some(6.0), "session = { extend_max = \"1h\" }"),
        lasts(Some(0.0), "session = { extend_max = \"1h\" }"),
    );
    for (what, (lasted, ending), least, most) in [
        ("as its token says", as_before, 2.2, 4.5),
        ("as the rule says", bounded, 5.0, 9.0),
        ("as the backend says", by_the_backend, 5.0, 10.0),
        ("sooner", sooner, 0.0, 2.4),
    ] {
        assert_eq!(ending, expired, "{what}");
        assert!((least..most).contains(&lasted), "{what}: {lasted}");
    }
}
