//! Sessions that are asked about again while they live.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::tokens::now;
use super::ways::{Asker, both};
use crate::actors::{Backend, Certificates, Ending, Session, until, within};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// A server that knows logins by their cookies: what it says of each, 204 where nothing was said.
struct Logins {
    said: Arc<Mutex<Vec<(String, String)>>>,
    server: Backend,
}

impl Logins {
    async fn new() -> Logins {
        let said = Arc::new(Mutex::new(Vec::<(String, String)>::new()));
        let known = Arc::clone(&said);
        let server = Backend::script(move |head, mut wire| {
            let known = known.lock().unwrap().clone();
            async move {
                let said = known.iter().rfind(|(who, _)| head.get("cookie") == who);
                let status = said.map_or("204 No Content", |(_, status)| status);
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                let _ = wire.write_all(answer.as_bytes()).await;
                let _ = wire.shutdown().await;
            }
        });
        Logins { said, server: server.await }
    }

    fn say(&self, who: &str, status: &str) {
        self.said.lock().unwrap().push((who.to_owned(), status.to_owned()));
    }

    fn guard(&self, site: Site, more: &str) -> Site {
        let address = self.server.address();
        site.table(&format!(
            "[pools.auth]\nbackends = [\"{address}\"]\nretry.attempts_max = 1\n\
             [access.sso.forward]\npool = \"auth\"\npath = \"/verify\"\n{more}"
        ))
        .route("access = \"sso\"")
    }

    fn asked_of(&self, who: &str) -> usize {
        self.server.heads().iter().filter(|head| head.get("cookie") == who).count()
    }
}

const SOON: &str = "recheck = \"1s\"";

fn rechecks(proxy: &Proxy, outcome: &str) -> usize {
    let name = format!("tidegate_access_rechecks_total{{rule=\"sso\",outcome=\"{outcome}\"}} ");
    let text = proxy.scrape();
    let count = text.lines().find_map(|line| line.strip_prefix(&name));
    count.map_or(0, |count| count.parse().unwrap())
}

async fn revoked(session: Session) {
    assert_eq!(session.ending().await, Ending::Close(4403, "revoked".into()));
}

#[tokio::test]
async fn a_session_ends_when_the_server_takes_its_word_back_and_its_neighbour_stays() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let logins = Logins::new().await;
    let site = logins.guard(both(site(&backends.each_ref()), &certificates), SOON);
    let proxy = Proxy::start(&site).await;
    let of = |who: &str| Asker::new(&proxy, &certificates).path("/7?a=b").field("Cookie", who);
    let mut sessions = Vec::new();
    let mut streams = [of("ada").streams(false).await, of("ada").streams(true).await];
    for (is_secure, streams) in [false, true].into_iter().zip(&mut streams) {
        sessions.push(of("ada").client(is_secure).open().await);
        sessions.push(streams.open_by(of("ada").handshake()).await);
    }
    let mut stays = of("bob").client(false).open().await;
    let each_twice = || logins.asked_of("ada") >= 12 && logins.asked_of("bob") >= 2;
    until("each to be asked about again", each_twice).await;
    for session in &mut sessions {
        session.echo("it may live on").await;
    }
    // The same question as before, in all it says.
    let asked = logins.server.heads();
    let of_bob: Vec<_> = asked.iter().filter(|head| head.get("cookie") == "bob").collect();
    assert!(of_bob.len() > 1);
    for head in &of_bob {
        assert_eq!(head.get("x-forwarded-uri"), "/7?a=b");
        assert_eq!((&head.first, &head.fields), (&of_bob[0].first, &of_bob[0].fields));
    }
    logins.say("ada", "403 Forbidden");
    for session in sessions {
        revoked(session).await;
    }
    stays.echo("it is another's").await;
    until("the four to be gone", || proxy.sessions() == 1).await;
    assert_eq!(rechecks(&proxy, "revoked"), 4);
    until("the backends' ends", || {
        backends.iter().map(|backend| backend.endings().len()).sum::<usize>() == 4
    })
    .await;
    let endings = backends.iter().flat_map(|backend| backend.endings());
    endings.for_each(|ending| assert_eq!(ending, Ending::Close(1001, "revoked".into())));
    // A page is asked about when it is asked for, and a session that has ended no more.
    let before = logins.asked_of("ada");
    until("another to be asked about", || logins.asked_of("bob") > of_bob.len() + 1).await;
    assert_eq!(logins.asked_of("ada"), before);
    drop((stays, streams));
    proxy.stop().await;
}

#[tokio::test]
async fn a_held_session_is_asked_about_too_and_a_redirect_is_a_no() {
    let (backend, logins) = (Backend::echo("a").await, Logins::new().await);
    let site = logins
        .guard(site(&[&backend]), SOON)
        .route("hold = { resume = \"always\" }\nrelay.close_codes = { revoked = 4001 }");
    let proxy = Proxy::start(&site).await;
    let mut session = proxy.client().field("Cookie", "ada").open().await;
    session.echo("before").await;
    backend.kill().await;
    let held = "tidegate_sessions_held{route=\"all\"} 1";
    until("the session to be held", || proxy.scrape().contains(held)).await;
    logins.say("ada", "302 Found\r\nLocation: /login");
    assert_eq!(session.ending().await, Ending::Close(4001, "revoked".into()));
    proxy.stop().await;
}

#[tokio::test]
async fn a_server_that_is_away_ends_no_session_until_its_last_word_is_too_old() {
    let (backend, logins) = (Backend::echo("a").await, Logins::new().await);
    let with = |more: &str| logins.guard(site(&[&backend]), &format!("{SOON}\n{more}"));
    let proxy = Proxy::start(&with("")).await;
    let mut session = proxy.client().field("Cookie", "ada").open().await;
    for status in ["500 Oops", "429 Too Many Requests", "404 Not Found", "304 Not Modified"] {
        logins.say("ada", status);
        let before = rechecks(&proxy, "unanswered");
        until("a question", || rechecks(&proxy, "unanswered") > before).await;
        session.echo(status).await;
    }
    // Of another opinion at once: it is said of live sessions, too.
    proxy.reload(&with("recheck_stale_max = \"1h\"\non_error = \"pass\"")).await.unwrap();
    let before = rechecks(&proxy, "unanswered");
    until("a question", || rechecks(&proxy, "unanswered") > before + 1).await;
    session.echo("it stays").await;
    proxy.reload(&with("recheck_stale_max = \"1h\"")).await.unwrap();
    let before = rechecks(&proxy, "unanswered");
    until("a question", || rechecks(&proxy, "unanswered") > before + 1).await;
    session.echo("it stays for an hour").await;
    proxy.reload(&with("recheck_stale_max = \"100ms\"")).await.unwrap();
    revoked(session).await;
    // Nor is it asked about where the rule says so no more.
    logins.say("ada", "204 No Content");
    proxy.reload(&with("")).await.unwrap();
    let session = proxy.client().field("Cookie", "ada").open().await;
    until("a good answer", || rechecks(&proxy, "good") > 0).await;
    proxy.reload(&logins.guard(site(&[&backend]), "")).await.unwrap();
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn the_server_may_put_off_the_end_of_a_session_and_hasten_it() {
    let (backend, logins) = (Backend::echo("a").await, Logins::new().await);
    let more = format!("{SOON}\nexpires = \"header:X-Ends\"");
    let proxy = Proxy::start(&logins.guard(site(&[&backend]), &more)).await;
    let ends = |seconds: f64| format!("200 OK\r\nX-Ends: {}", (now() + seconds) as u64);
    let begun = now();
    logins.say("ada", &ends(5.0));
    let mut session = proxy.client().field("Cookie", "ada").open().await;
    logins.say("ada", &ends(60.0));
    let waits = Duration::from_secs_f64((begun + 6.5 - now()).max(0.0));
    within("the first end", tokio::time::sleep(waits)).await;
    session.echo("after its first end").await;
    logins.say("ada", &ends(0.0));
    assert_eq!(session.ending().await, Ending::Close(4403, "expired".into()));
    proxy.stop().await;
}

#[tokio::test]
async fn a_question_that_is_too_long_to_be_kept_opens_no_session() {
    let (backend, logins) = (Backend::echo("a").await, Logins::new().await);
    let proxy = Proxy::start(&logins.guard(site(&[&backend]), SOON)).await;
    let client = proxy.client().field("X-Long", &"x".repeat(9 << 10));
    assert_eq!(client.handshake().await.0.status(), 431);
    assert_eq!(client.request("GET", "").await.0.status(), 200, "of a page nothing is kept");
    assert!(!backend.heads().iter().any(|head| head.is_upgrade()));
    proxy.stop().await;
}
