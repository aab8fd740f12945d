//! Clients that do not read, or not as fast as they are pushed to.

use super::*;

#[tokio::test]
async fn a_client_that_does_not_read_fills_its_own_queue_and_ends_where_its_route_says_so() {
    let backend = Backend::echo("a").await;
    let keys = "full = \"close\", queue_messages_max = 8, queue_bytes_max = \"512KiB\", \
                message_bytes_max = \"64KiB\"";
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), keys)).await;
    let mut neighbour = proxy.client().path("/?user=ada").open().await;
    let mut frozen = proxy.client().path("/?user=bob").open().await;
    frozen.echo("hello").await;
    let message = "x".repeat(60_000);
    let filling = async {
        for _ in 0..1_000 {
            let report = push(&proxy, "label=user:bob", &message).await;
            if report["full"] == 1 {
                return;
            }
            neighbour.echo("still here").await;
        }
        panic!("it takes whatever comes");
    };
    within("a full queue", filling).await;
    until("its end", || proxy.sessions() == 1).await;
    let mut got = 0;
    let ending = loop {
        match frozen.next().await {
            Ok(read) => {
                assert_eq!(read.len(), message.len());
                got += 1;
            }
            Err(ending) => break ending,
        }
    };
    assert!(got > 0);
    assert!(matches!(ending, Ending::Close(1013, _) | Ending::Cut), "{ending:?}");
    neighbour.echo("and after").await;
    drop(neighbour);
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_late_has_what_was_on_its_way_and_then_1013() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let keys = "full = \"close\", queue_messages_max = 8, queue_bytes_max = \"512KiB\", \
                message_bytes_max = \"64KiB\"";
    let site = both(site(&[&backend]), &certificates);
    let proxy = Proxy::start(&pushed_to(site, keys)).await;
    let asker = Asker::new(&proxy, &certificates).path("/?user=bob");
    let mut streams = asker.streams(true).await;
    let clients = [
        asker.client(false).open().await,
        asker.client(true).open().await,
        streams.open_by(asker.handshake()).await,
    ];
    until("three sessions", || proxy.sessions() == 3).await;
    let message = "x".repeat(60_000);
    for (ended, mut late) in clients.into_iter().enumerate() {
        let ids = "/v1/sessions?label=user:bob";
        let (_, listed) = ask(&proxy, "GET", ids, "").await;
        let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
        let mut queued: usize = 0;
        let filling = async {
            loop {
                let report = push(&proxy, &format!("session={id}"), &message).await;
                if report["full"] == 1 {
                    return;
                }
                queued += 1;
            }
        };
        within("a full queue", filling).await;
        // The oldest is the first that is listed, and was opened first.
        let mut got = 0;
        let ending = loop {
            match within("its messages", late.next()).await {
                Ok(read) => {
                    assert_eq!(read.len(), message.len());
                    got += 1;
                }
                Err(ending) => break ending,
            }
        };
        // What waited behind a client that did not read by then is gone: eight at most.
        assert!((queued - 8..=queued).contains(&got), "{got} of {queued}");
        assert_eq!(ending, Ending::Close(1013, "no_room".into()), "{ended}");
        until("its end", || proxy.sessions() == 2 - ended as u64).await;
    }
    drop(streams);
    proxy.stop().await;
}
