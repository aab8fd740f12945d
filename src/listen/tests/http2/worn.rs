//! Keys of TLS 1.2 that are nearly used up.

use super::*;
use crate::tls::tests::worn_acceptor;

/// Records that the keys are good for.
const RECORDS: u64 = 400;

#[tokio::test]
async fn a_client_whose_keys_are_nearly_used_up_is_sent_away_between_two_requests() {
    let (mut listener, connector) = secured_with("a", &[HTTP_2]);
    listener.http2 = Some(http2());
    let (mut stand, address) = Stand::with(listener.clone());
    let plan = Arc::new(listener);
    let live = stand.listener(&plan);
    let acceptor = Arc::new(worn_acceptor(plan.tls.as_ref().unwrap(), RECORDS, &[HTTP_2]));
    let worn = LiveListener { acceptor: Some(acceptor), cells: Arc::clone(&live.cells), plan };
    let opened = stand.sockets.open(&[Arc::clone(&worn.plan)], &mut InheritedSockets::default());
    stand.sockets.take(opened.unwrap(), [Arc::new(worn)]);

    // One that goes on over all of it, and others beside it.
    let tls = super::super::secure::connect(&connector, address).await.unwrap();
    let (mut asker, connection) = on(tls).await;
    let mut slow = asker.clone();
    let (waiting, _) = slow.send_request(request(Method::GET, "/wait"), true).unwrap();
    let mut answered = 0;
    let error = loop {
        match get(&mut asker, "/").await {
            Ok((answer, _)) => assert_eq!(answer.status(), 200),
            Err(error) => break error,
        }
        answered += 1;
        assert!(answered < RECORDS, "keys that last for ever");
    };
    // Told in order, and not for a fault of its own.
    assert!(error.is_go_away() && error.reason() == Some(Reason::NO_ERROR), "{error:?}");
    assert!(answered > RECORDS / 8, "after {answered} answers");
    // What is under way is answered on the old keys: there is a reserve for that.
    stand.handler.release.add_permits(1);
    let late = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(late.status(), 200);
    drop((late, asker, slow));
    // It ends; the client's last word may find the server gone.
    drop(tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap());
    // A new connection has new keys.
    let tls = super::super::secure::connect(&connector, address).await.unwrap();
    let (mut asker, connection) = on(tls).await;
    assert_eq!(get(&mut asker, "/").await.unwrap().0.status(), 200);
    drop(asker);
    connection.await.unwrap().unwrap();
    stand.is_quiet().await;
}
