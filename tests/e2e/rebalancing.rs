//! A pool that grew is levelled while its clients talk on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tidegate::base::clock;
use tokio::task::JoinSet;
use tungstenite::Message;

use crate::actors::{Backend, Ending, Session, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// All of a pool's sessions may be asked in a minute: 24 of them, one each two and a half seconds.
const RULES: &str = "rebalance = { threshold = \"10%\", after = \"1s\", age_min = \"100ms\", \
                     per_minute_max = \"100%\" }";
const CLIENTS: usize = 24;

fn levelled(backends: &[&Backend], rules: &str) -> Site {
    site(backends).pool(rules).route("hold.resume = \"always\"")
}

/// A number that a scrape tells of the pool, and of one backend where one is given.
fn sample(proxy: &Proxy, metric: &str, backend: Option<&Backend>) -> usize {
    let of = backend.map_or(String::new(), |one| format!(",backend=\"{}\"", one.address()));
    let start = format!("tidegate_{metric}{{pool=\"chat\"{of}}} ");
    let text = proxy.scrape();
    let value = text.lines().find_map(|line| line.strip_prefix(&start));
    value.unwrap_or_else(|| panic!("no {start}")).parse().unwrap()
}

fn sessions(proxy: &Proxy, backends: &[&Backend]) -> Vec<usize> {
    backends.iter().map(|one| sample(proxy, "backend_sessions", Some(one))).collect()
}

/// Says numbers and hears each back once and in order, some under way at any time; gives how many.
async fn talk(mut session: Session, client: usize, is_over: Arc<AtomicBool>) -> (usize, Ending) {
    const UNDER_WAY: usize = 3;
    let (mut said, mut heard) = (0, 0);
    while heard < said || !is_over.load(Relaxed) {
        while said < heard + UNDER_WAY && !is_over.load(Relaxed) {
            session.send(format!("{client}: {said}")).await;
            said += 1;
        }
        if heard < said {
            assert_eq!(session.text().await, format!("{client}: {heard}"));
            heard += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (heard, session.close(1000, "").await)
}

#[tokio::test]
async fn a_third_backend_gets_its_share_and_no_client_notices() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await, Backend::echo("c").await];
    let [one, two, three] = &backends;
    let proxy = Proxy::start(&levelled(&[one, two], RULES)).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let session = proxy.client().open().await;
        clients.spawn(talk(session, client, Arc::clone(&is_over)));
    }
    assert_eq!(sessions(&proxy, &[one, two]), [12, 12]);

    let all: Vec<&Backend> = backends.iter().collect();
    proxy.reload(&levelled(&all, RULES)).await.unwrap();
    let began = clock::now();
    // Each wait is bounded; levelling takes about twenty seconds by its rate.
    for share in [2, 4, 6, 8] {
        let moved = || sample(&proxy, "backend_sessions", Some(three)) >= share;
        until(&format!("{share} sessions on the third backend"), moved).await;
    }
    // Eight moves, of which the first may come at once: the rest took their time.
    assert!(clock::now().since(began) >= Duration::from_millis(7 * 2500 - 1000));
    until("the old upstreams' ends", || sessions(&proxy, &all) == [8, 8, 8]).await;
    until("an even pool", || sample(&proxy, "rebalance_would_move", None) == 0).await;
    assert!(sample(&proxy, "rebalance_asked_total", None) >= 8);

    is_over.store(true, Relaxed);
    let mut heard = 0;
    while let Some(client) = clients.join_next().await {
        let (count, ending) = client.unwrap();
        assert_eq!(ending, Ending::Close(1000, String::new()));
        heard += count;
    }
    // What the clients said came to the backends once each: none lost, none twice.
    let mut came: Vec<Message> = backends.iter().flat_map(Backend::messages).collect();
    let total = came.len();
    came.sort_by_key(|message| message.clone().into_data());
    came.dedup();
    assert_eq!((came.len(), total), (heard, heard));
    proxy.stop().await;
}

#[tokio::test]
async fn without_rebalance_it_is_only_told_what_would_move() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let [one, two] = &backends;
    let proxy = Proxy::start(&levelled(&[one], "")).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(proxy.client().open().await);
    }
    proxy.reload(&levelled(&[one, two], "")).await.unwrap();
    until("what would move", || sample(&proxy, "rebalance_would_move", None) == 5).await;
    assert_eq!(sample(&proxy, "rebalance_asked_total", None), 0);
    assert_eq!(sessions(&proxy, &[one, two]), [10, 0]);
    for session in held {
        session.close(1000, "").await;
    }
    proxy.stop().await;
}

#[tokio::test]
async fn sessions_that_their_new_backend_does_not_confirm_are_asked_and_notice_nothing() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let [one, two] = &backends;
    let defaults = |backends: &[&Backend]| site(backends).pool(RULES).route("hold = {}");
    let proxy = Proxy::start(&defaults(&[one])).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(proxy.client().open().await);
    }
    proxy.reload(&defaults(&[one, two])).await.unwrap();
    // Two sessions in three seconds, by the rate.
    until("some to be asked", || two.heads().len() >= 4).await;
    for session in &mut held {
        session.echo("still here").await;
    }
    let asked = two.heads();
    let mut tokens: Vec<&str> = asked.iter().map(|head| head.get("tidegate-resume")).collect();
    tokens.iter_mut().for_each(|field| *field = field.split(';').next().unwrap());
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), asked.len(), "each is asked once before one is asked again");
    assert_eq!(one.endings().len(), 0);
    drop(held);
    proxy.stop().await;
}
