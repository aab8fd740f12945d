//! A stop: readiness, requests in flight, a second word.

use super::*;

/// Asks the admin listener, and gives the status.
async fn status(process: &Process, path: &str) -> u16 {
    Client::to(process.admin_address().unwrap()).path(path).request("GET", "").await.0.status()
}

fn with_admin(mut plan: Plan) -> Plan {
    plan.admin = Some(admin());
    plan
}

#[tokio::test]
async fn readiness_fails_at_once_while_accepting_goes_on_and_then_every_session_reads_1012() {
    let backend = Backend::echo("one").await;
    let mut plan = with_admin(site(&[("one", &backend)]));
    plan.drain.delay = Duration::from_secs(2);
    plan.drain.window = Duration::from_millis(200);
    plan.drain.timeout = Duration::from_secs(20);
    let process = Process::start(plan);
    let mut sessions = Vec::new();
    for _ in 0..20 {
        sessions.push(process.session("/one").await);
    }
    assert_eq!(status(&process, "/readyz").await, 200);
    process.stop();
    until("the stop to begin", || process.phase() == Phase::Draining).await;
    assert_eq!(status(&process, "/readyz").await, 503);
    assert_eq!(status(&process, "/healthz").await, 200);
    assert_eq!(process.client("/").request("GET", "").await.1, "page");
    for session in sessions {
        assert_eq!(session.ending().await, Ending::Close(1012, "stop".into()));
    }
    let at = process.at("http");
    let stopped = within("the end", process.stopped()).await;
    assert_eq!(stopped, Stopped { drained: true, left: Counts::default() });
    assert!(std::net::TcpStream::connect(at).is_err());
}

#[tokio::test]
async fn without_anything_open_a_stop_is_quick() {
    let process = Process::start(site(&[]));
    process.stop();
    let stopped = within("the end", process.stopped()).await;
    assert!(stopped.drained);
    let Process { supervisor, .. } = process;
    assert_eq!(supervisor.wait(), stopped);
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_end() {
    let (answer, answered) = tokio::sync::oneshot::channel::<()>();
    let answered = Arc::new(Mutex::new(Some(answered)));
    let backend = Backend::script(move |_, mut wire| {
        let answered = answered.lock().unwrap().take();
        async move {
            use tokio::io::AsyncWriteExt;
            if let Some(answered) = answered {
                let _ = answered.await;
            }
            let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate").await;
        }
    })
    .await;
    let mut plan = site(&[("one", &backend)]);
    plan.drain.timeout = Duration::from_secs(20);
    Arc::make_mut(&mut plan.pools[0]).response_timeout = Duration::from_secs(20);
    let process = Process::start(plan);
    let client = process.client("/one");
    let asking = async { client.request("GET", "").await.1 };
    let stopping = async {
        until("the request to arrive", || !backend.heads().is_empty()).await;
        process.stop();
        until("accepting to end", || std::net::TcpStream::connect(process.at("http")).is_err())
            .await;
        drop(answer);
    };
    let (body, ()) = tokio::join!(asking, stopping);
    assert_eq!(body, "late");
    assert!(within("the end", process.stopped()).await.drained);
}

#[tokio::test]
async fn a_second_stop_does_not_wait_and_neither_does_the_timeout() {
    for hurry in [true, false] {
        let backend = Backend::silent().await;
        let mut plan = site(&[("one", &backend)]);
        Arc::make_mut(&mut plan.pools[0]).response_timeout = Duration::from_secs(60);
        plan.drain.timeout = Duration::from_secs(if hurry { 60 } else { 1 });
        let process = Process::start(plan);
        let client = process.client("/one");
        let wire = async {
            let mut wire = client.connect().await.unwrap();
            use tokio::io::AsyncWriteExt;
            wire.write_all(client.head("GET", &[]).as_bytes()).await.unwrap();
            wire
        };
        let _wire = wire.await;
        until("the backend to be asked", || backend.connections() > 0).await;
        process.stop();
        if hurry {
            until("the stop to begin", || process.phase() == Phase::Draining).await;
            process.stop();
        }
        let stopped = within("the end", process.stopped()).await;
        assert_eq!((stopped.drained, stopped.left.connections), (false, 1));
        let refused = process.reload(ReloadRequest::default()).await;
        assert_eq!(super::refused(refused), ReloadRefused::Stopping);
    }
}
