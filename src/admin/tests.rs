//! The servers' answers, for a process that is none.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;

use super::http::{Caller, Server};
use super::*;
use crate::action::api::PushRequest;
use crate::actors::Client;
use crate::base::label::Label;
use crate::base::worker::Workers;
use crate::config::plan::{Address, SourceKey};
use crate::discovery::SourceState;
use crate::drain::Drains;
use crate::listen::{Listening, Opened};
use crate::live::tests::plan::{admin, plan, pool, route, to_pool};
use crate::live::{self, Snapshot};
use crate::observe::metrics::{Exposition, Metrics};
use crate::registry::LiveSessions;
use crate::report::Findings;

/// A process that does nothing and remembers what it was asked.
#[derive(Clone)]
struct Fake {
    phase: Rc<RefCell<Phase>>,
    reloads: Rc<RefCell<Vec<ReloadRequest>>>,
    answer: Rc<RefCell<Reloaded>>,
    upgrades: Rc<Cell<usize>>,
    refused: Rc<RefCell<Vec<&'static str>>>,
    older: Rc<RefCell<Vec<OlderReport>>>,
    older_asked: Rc<RefCell<Vec<OlderQuestion>>>,
    snapshot: Arc<Snapshot>,
    sessions: LiveSessions,
    drains: Drains,
    _workers: Rc<Workers>,
}

impl Fake {
    fn new() -> Fake {
        let workers = Workers::start(1).unwrap();
        let plan = plan(&[pool("chat", &[1])], &[route("/", to_pool("chat"))]);
        let snapshot = live::build(Arc::new(plan), None, &Metrics::new(1)).unwrap();
        let sessions = LiveSessions::new(workers.queues().clone());
        Fake {
            phase: Rc::new(RefCell::new(Phase::Running)),
            reloads: Rc::default(),
            answer: Rc::new(RefCell::new(Reloaded::Unchanged)),
            upgrades: Rc::default(),
            refused: Rc::default(),
            older: Rc::default(),
            older_asked: Rc::default(),
            snapshot: Arc::new(snapshot),
            drains: Drains::new(sessions.clone()),
            sessions,
            _workers: Rc::new(workers),
        }
    }

    async fn ask(&self, method: &str, target: &str, body: &str) -> (StatusCode, String) {
        let body = Full::new(Bytes::from(body.to_owned()));
        let request = Request::builder().method(method).uri(target).body(body).unwrap();
        let answer = operator::answer(self, Caller::default(), request).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn probe(&self, path: &str) -> StatusCode {
        let probes = probes::Probes::new(self.clone(), admin());
        let peer = "127.0.0.1:5".parse().unwrap();
        probes.answer(Some(peer), &Request::get(path).body(()).unwrap()).status()
    }
}

impl Process for Fake {
    fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    async fn counts(&self) -> Counts {
        Counts { sessions: 3, ..Counts::default() }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    fn sessions(&self) -> &LiveSessions {
        &self.sessions
    }

    fn drains(&self) -> &Drains {
        &self.drains
    }

    async fn push(&self, request: PushRequest) -> (StatusCode, serde_json::Value) {
        let matched = request.to[0].labels.len();
        (StatusCode::OK, serde_json::json!({ "matched": matched, "queued": matched }))
    }

    fn has_older(&self) -> bool {
        !self.older.borrow().is_empty()
    }

    async fn ask_older(&self, question: OlderQuestion) -> Vec<OlderReport> {
        self.older_asked.borrow_mut().push(question);
        self.older.borrow().clone()
    }

    fn sources(&self) -> Vec<(SourceKey, SourceState)> {
        Vec::new()
    }

    fn ordered_names(&self) -> Arc<Vec<crate::acme::NameState>> {
        Arc::default()
    }

    fn setup(&self) -> ProcessSetup {
        ProcessSetup {
            configuration: "tidegate.toml".to_owned(),
            workers: 1,
            listeners: vec![("http".to_owned(), "0.0.0.0:80".to_owned())],
            ..ProcessSetup::default()
        }
    }

    fn scrape(&self, _: Exposition) -> String {
        "# EOF\n".to_owned()
    }

    fn admin_refused(&self, why: impl Label) {
        self.refused.borrow_mut().push(why.label());
    }

    async fn reload(&self, request: ReloadRequest) -> Reloaded {
        self.reloads.borrow_mut().push(request);
        self.answer.borrow().clone()
    }

    async fn upgrade(&self) -> Upgraded {
        self.upgrades.set(self.upgrades.get() + 1);
        Upgraded::Refused(NoUpgrade::NotRun)
    }
}

#[tokio::test]
async fn what_came_of_a_reload_is_told_by_the_status() {
    let fake = Fake::new();
    let drain = ReloadRefused::Drain { sessions_drained: 1, sessions: 1, drain_max_percent: 0 };
    for (answer, status) in [
        (Reloaded::Unchanged, 200),
        (Reloaded::Taken(Box::default()), 200),
        (Reloaded::Refused(drain.into()), 409),
        (Reloaded::Refused(ReloadRefused::Passed(7).into()), 409),
        (Reloaded::Refused(ReloadRefused::Config(Findings::default()).into()), 422),
        (Reloaded::Refused(ReloadRefused::Stopping.into()), 503),
    ] {
        *fake.answer.borrow_mut() = answer;
        assert_eq!(fake.ask("POST", "/reload?force=true", "").await.0, status);
    }
    assert_eq!(fake.reloads.borrow().len(), 6);
    assert!(fake.reloads.borrow().iter().all(|request| request.force && !request.dry_run));
    assert_eq!(fake.ask("POST", "/reload?forse=true", "").await.0, 400);
    assert_eq!(fake.ask("GET", "/reload", "").await.0, 405);
    assert_eq!(fake.reloads.borrow().len(), 6);
    assert_eq!((fake.ask("POST", "/upgrade", "").await.0.as_u16(), fake.upgrades.get()), (409, 1));
}

#[tokio::test]
async fn a_process_that_stops_is_alive_not_ready_and_takes_no_orders() {
    let fake = Fake::new();
    assert_eq!(fake.probe("/readyz"), 200);
    let all = r#"{ "who": { "all": true } }"#;
    assert_eq!(fake.ask("POST", "/drain", all).await.0, 200);
    *fake.phase.borrow_mut() = Phase::Draining;
    let probes = ["/readyz", "/healthz", "/metrics", "/reload"].map(|path| fake.probe(path));
    assert_eq!(probes.map(|status| status.as_u16()), [503, 200, 200, 404]);
    assert_eq!(fake.ask("POST", "/drain", all).await.0, 503);
    let (status, text) = fake.ask("GET", "/status", "").await;
    assert_eq!(status, 200);
    assert!(
        text.starts_with(concat!("tidegate ", env!("CARGO_PKG_VERSION"), ", draining")),
        "{text}"
    );
    assert!(text.contains("\nsessions       3, 0 held\n"), "{text}");
    assert!(text.contains("\nlisteners      http 0.0.0.0:80\n"), "{text}");
}

#[tokio::test]
async fn the_last_backend_is_disabled_by_force_and_enabled_again() {
    let fake = Fake::new();
    let who = r#""who": { "backend": "127.0.0.1:1" }"#;
    let (status, text) = fake.ask("POST", "/drain", &format!("{{ {who} }}")).await;
    assert!(status == 409 && text.contains("the last of pool `chat`"), "{text}");
    let (status, text) = fake.ask("POST", "/drain", &format!("{{ {who}, \"force\": true }}")).await;
    assert!(status == 200 && text.contains("gets no new sessions"), "{text}");
    assert!(fake.snapshot.pools["chat"].backends()[0].is_disabled());
    let (status, text) = fake.ask("POST", "/enable", r#"{ "backend": "127.0.0.1:1" }"#).await;
    assert!(status == 200 && text.contains("gets new sessions again"), "{text}");
    let (status, text) = fake.ask("POST", "/enable", r#"{ "backnd": "127.0.0.1:1" }"#).await;
    assert!(status == 400 && text.contains("backend"), "{text}");
}

#[tokio::test]
async fn a_client_has_a_share_of_the_scrapes_and_probes_need_none() {
    let probes = probes::Probes::new(Fake::new(), admin());
    let ask = |host: u8, path: &str| {
        let peer = std::net::SocketAddr::from(([127, 0, 0, host], 5));
        probes.answer(Some(peer), &Request::get(path).body(()).unwrap())
    };
    let many: Vec<_> = (0..probes::SCRAPES_MAX).map(|_| ask(1, "/metrics")).collect();
    let taken = many.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(taken, probes::SCRAPES_MAX / 2);
    assert_eq!(many.last().unwrap().headers()["retry-after"], "1");
    assert_eq!(ask(2, "/metrics").status(), 200);
    assert_eq!(ask(1, "/healthz").status(), 200);
    drop(many);
    assert_eq!(ask(1, "/metrics").status(), 200);
}

#[tokio::test(flavor = "local")]
async fn a_connection_has_its_time_and_no_more() {
    let address = Address::Inet(([127, 0, 0, 1], 0).into());
    let opened = Opened { listening: Listening::open(&address).unwrap(), origin: None };
    let never: super::http::Responder = Rc::new(|_, _| Box::pin(std::future::pending()));
    let server = Server::start(opened, never, Duration::from_millis(300)).unwrap();
    let Address::Inet(bound) = server.bound().clone() else { panic!("no TCP") };
    let client = Client::to(bound);
    let (head, _) = client.say(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.is_none());
    server.end().await;
}
