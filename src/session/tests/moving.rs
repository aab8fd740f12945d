//! Sessions that are moved from one backend to another on purpose.

use super::actors::{Ending, Session, within};
use super::*;
use crate::live::tests::plan::hold;
use crate::registry::tests::{ALONE, moving};

/// Asks every session that can be held to move; says how many were asked.
async fn move_all(proxy: &Proxy) -> usize {
    let ask = |_| registry::drain(&moving(Selector::All), clock::now(), ALONE);
    proxy.workers.queues().ask_all(ask).await.iter().sum()
}

async fn leases(proxy: &Proxy) -> Vec<usize> {
    let pools = proxy.app.live.now().pools.clone();
    pools.values().flat_map(|pool| pool.backends()).map(|one| one.sessions()).collect()
}

#[tokio::test]
async fn a_session_moves_and_neither_its_client_nor_a_message_is_lost() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let proxy = Proxy::before(&[&one, &two], |plan| {
        route_of(plan).hold = Some(Arc::new(hold()));
    })
    .await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    let (mut from, mut to) = if one.connections() == 1 { (&one, &two) } else { (&two, &one) };
    let mut number = 0;
    for _ in 0..6 {
        let (came, went) = (to.heads().len(), from.endings().len());
        assert_eq!(move_all(&proxy).await, 1);
        // Messages on their way both ways, all the while.
        until_moved(&mut session, &mut number, || to.heads().len() > came).await;
        until("the old one's end", || from.endings().len() > went).await;
        // Both are counted until the new one has confirmed that it goes on.
        let one_lease = async { while leases(&proxy).await.iter().sum::<usize>() > 1 {} };
        within("one lease", one_lease).await;
        assert_eq!(from.endings().pop(), Some(Ending::Close(1001, "moved".into())));
        (from, to) = (to, from);
    }
    let mut received: Vec<String> = Vec::new();
    // Each life of the session at a backend is in order, and all are there.
    for backend in [&one, &two] {
        received.extend(backend.messages().iter().map(ToString::to_string));
    }
    let mut numbers: Vec<u32> = received.iter().filter_map(|one| one.parse().ok()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..number).collect::<Vec<_>>());
    drop(session);
    proxy.is_quiet().await;
}

/// Sends numbers and reads them back in order until a fact holds, and one more after that.
async fn until_moved(session: &mut Session, number: &mut u32, holds: impl Fn() -> bool) {
    let streaming = async {
        let mut back = *number;
        while !holds() {
            session.send(number.to_string()).await;
            *number += 1;
            // A few are always on their way.
            if *number - back > 3 {
                assert_eq!(session.text().await, back.to_string());
                back += 1;
            }
        }
        session.send(number.to_string()).await;
        *number += 1;
        for expected in back..*number {
            assert_eq!(session.text().await, expected.to_string());
        }
    };
    within("a move", streaming).await;
}

#[tokio::test]
async fn where_there_is_no_other_place_a_session_stays() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |plan| {
        route_of(plan).hold = Some(Arc::new(hold()));
    })
    .await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    assert_eq!(move_all(&proxy).await, 1);
    for _ in 0..20 {
        session.echo("still here").await;
    }
    assert_eq!((backend.connections(), backend.endings().len()), (1, 0));
    drop(session);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_session_that_cannot_be_held_is_not_asked() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let proxy = Proxy::before(&[&one, &two], |_| {}).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    assert_eq!(move_all(&proxy).await, 0);
    drop(session);
    proxy.is_quiet().await;
}
