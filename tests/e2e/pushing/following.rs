//! What becomes of sessions, followed by callers.

use super::*;

/// A stream of events, as far as it was read.
struct Follower {
    wire: Wire,
    text: String,
}

impl Follower {
    /// Follows from now on, or behind an event.
    async fn begin(proxy: &Proxy, query: &str, last: Option<&str>) -> Follower {
        let path = format!("/v1/events?{query}");
        let fields: Vec<_> = last.iter().map(|last| ("Last-Event-ID", *last)).collect();
        let mut wire = caller(proxy, &path).connect().await.unwrap();
        let head = caller(proxy, &path).head("GET", &fields);
        wire.write_all(head.as_bytes()).await.unwrap();
        let mut follower = Follower { wire, text: String::new() };
        follower.until("\r\n\r\n").await;
        assert!(follower.text.starts_with("HTTP/1.1 200"), "{}", follower.text);
        assert!(follower.text.contains("text/event-stream"), "{}", follower.text);
        // Its first words: it follows by then.
        follower.until("\n\n").await;
        follower
    }

    /// Reads until this is there; what is of an event, with the event's end.
    async fn until(&mut self, wanted: &str) {
        let end = if wanted.contains('\n') { "" } else { "\n\n" };
        let is_there =
            |text: &str| text.split_once(wanted).is_some_and(|(_, behind)| behind.contains(end));
        let reading = async {
            while !is_there(&self.text) {
                let mut bytes = [0; 4096];
                let read = self.wire.read(&mut bytes).await.unwrap();
                assert!(read > 0, "it ended: {}", self.text);
                self.text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            }
        };
        within(wanted, reading).await;
    }

    /// The events so far: name, number and data.
    fn events(&self) -> Vec<(String, String, Value)> {
        let field = |part: &str, name: &str| {
            let line = part.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().to_owned()
        };
        let events = self.text.split("\n\n").filter(|part| part.contains("event: "));
        let event = |part: &str| {
            let data = serde_json::from_str(&field(part, "data: ")).unwrap();
            (field(part, "event: "), field(part, "id: "), data)
        };
        events.map(event).collect()
    }

    fn names(&self) -> Vec<String> {
        self.events().into_iter().map(|(name, ..)| name).collect()
    }
}

#[tokio::test]
async fn what_becomes_of_sessions_is_followed_by_label_and_goes_on_where_it_broke_off() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("one").await, Backend::echo("two").await];
    let site = both(site(&backends.each_ref()), &certificates);
    let proxy = Proxy::start(&pushed_to(site, "")).await;
    let asker = |user: &str| Asker::new(&proxy, &certificates).path(&format!("/?user={user}"));
    let mut of_ada = Follower::begin(&proxy, "label=user:ada", None).await;
    let mut of_all = Follower::begin(&proxy, "route=all", None).await;
    let bob = asker("bob").client(false).open().await;
    let mut streams = asker("ada").streams(true).await;
    let mut ada = streams.open_by(asker("ada").handshake()).await;
    ada.echo("here").await;
    of_ada.until("event: opened").await;
    let (_, listed) = ask(&proxy, "GET", "/v1/sessions?label=user:ada", "").await;
    let id = &listed["sessions"][0]["id"];
    let path = format!("/v1/sessions/{}", id.as_str().unwrap());
    let patch = json!({ "labels": { "seat": "7" } }).to_string();
    assert_eq!(ask(&proxy, "PATCH", &path, &patch).await.0, 200);
    assert_eq!(ask(&proxy, "DELETE", &path, "").await.0, 200);
    assert!(matches!(ada.ending().await, Ending::Close(1008, _)));
    of_ada.until("event: ended").await;
    assert_eq!(of_ada.names(), ["opened", "labelled", "ended"]);
    let events = of_ada.events();
    assert!(events.iter().all(|(.., data)| data["session"] == *id), "{events:?}");
    assert_eq!(events[0].2["labels"], json!({ "user": "ada" }));
    assert_eq!(events[1].2["labels"], json!({ "user": "ada", "seat": "7" }));
    assert_eq!((&events[2].2["end"], &events[2].2["route"]), (&json!("kicked"), &json!("all")));
    // Two workers tell in any order.
    of_all.until("\"user\":\"bob\"").await;
    of_all.until("event: ended").await;
    let mut names = of_all.names();
    names.sort();
    assert_eq!(names, ["ended", "labelled", "opened", "opened"]);

    // A stream that broke off after the first.
    drop(of_ada);
    let mut again = Follower::begin(&proxy, "label=user:ada", Some(&events[0].1)).await;
    again.until("event: ended").await;
    assert_eq!(again.events(), events[1..]);
    let other = Follower::begin(&proxy, "label=user:ada", Some("0123456789ab-7")).await;
    assert_eq!(other.events()[0].0, "gap");
    let unread = Follower::begin(&proxy, "label=user:ada", Some("\u{e9}")).await;
    assert_eq!(unread.events()[0].0, "gap");
    drop(unread);
    assert_eq!(ask(&proxy, "POST", "/v1/events", "").await.0, 405);
    assert_eq!(ask(&proxy, "GET", "/v1/events?label=user", "").await.0, 400);
    drop((bob, streams, of_all, again, other));
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_is_followed_by_its_token() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let mut ada = proxy.client().path("/?user=ada").open().await;
    ada.echo("here").await;
    let token = backend.head().get("tidegate-session").to_owned();
    let mut bob = proxy.client().path("/?user=bob").open().await;
    bob.echo("here").await;
    let mut follower = Follower::begin(&proxy, &format!("session={token}"), None).await;
    drop(bob);
    drop(ada);
    follower.until("event: ended").await;
    assert_eq!(follower.events()[0].2["labels"], json!({ "user": "ada" }));
    drop(follower);
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_whose_backend_is_away_is_followed_too() {
    let backend = Backend::echo("a").await;
    let site = pushed_to(site(&[&backend]), "").route("hold = { resume = \"always\" }");
    let proxy = Proxy::start(&site).await;
    let mut follower = Follower::begin(&proxy, "", None).await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("before").await;
    let address = backend.kill().await;
    follower.until("event: held").await;
    let backend = Backend::echo_at("a", address).await;
    session.echo("after").await;
    follower.until("event: resumed").await;
    drop(session);
    follower.until("event: ended").await;
    assert_eq!(follower.names(), ["opened", "held", "resumed", "ended"]);
    drop((follower, backend));
    proxy.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_last_session_and_holds_no_stop() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(both(site(&[&backend]), &certificates), "")).await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("here").await;
    let mut follower = Follower::begin(&proxy, "", None).await;
    let mut of_others = Follower::begin(&proxy, "label=user:bob", None).await;
    let begun = std::time::Instant::now();
    proxy.begin_stop();
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    follower.until("event: ended").await;
    for follower in [&mut follower, &mut of_others] {
        let mut rest = Vec::new();
        within("its end", follower.wire.read_to_end(&mut rest)).await.unwrap();
    }
    proxy.stopped().await;
    // Long before `drain.timeout`.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stream_outlives_reloads_but_not_the_right_to_it() {
    let backend = Backend::echo("a").await;
    let of = |api: &str, route: &str| {
        let site = site(&[&backend]).table(api).route("labels = { user = \"{query.user}\" }");
        site.route("push = {}").route(route)
    };
    let proxy = Proxy::start(&of(API, "")).await;
    let mut follower = Follower::begin(&proxy, "", None).await;
    // The rules of the route that it is about.
    proxy.reload(&of(API, "relay.ping_interval = \"7s\"")).await.unwrap();
    let mut sessions = Vec::new();
    for user in ["ada", "bob", "eve"] {
        sessions.push(proxy.client().path(&format!("/?user={user}")).open().await);
        // With each it is looked whether it goes on.
        follower.until(&format!("\"user\":\"{user}\"")).await;
    }
    let listing = API.replace("routes = \"all\"", "routes = \"all\", may = \"list\"");
    proxy.reload(&of(&listing, "relay.ping_interval = \"7s\"")).await.unwrap();
    // Its last chunk: the connection may be asked more.
    follower.until("\r\n0\r\n\r\n").await;
    assert_eq!(ask(&proxy, "GET", "/v1/events", "").await.0, 403);
    drop(sessions);
    proxy.stop().await;
}
