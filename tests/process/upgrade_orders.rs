//! Upgrades and certificates that are ordered: the new process shows what there is from its first
//! handshake on, orders nothing anew, and begins again once what was under way; the old one answers
//! the authority on connections that it has yet, and asks no backend any more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::actors::{self, Client, free, within};
use crate::authority::{Authority, Fault, Step};
use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic;
use crate::upgrade::upgraded;

struct Ordering {
    authority: Authority,
    proxy: Proxy,
    tls: SocketAddr,
    _backend: Backend,
}

impl Ordering {
    async fn start(prepare: impl FnOnce(&Authority)) -> Ordering {
        let (authority, backend, tls) = (Authority::start().await, Backend::start(), free());
        prepare(&authority);
        let proxy = Proxy::start(&format!(
            r#"
listeners.ordered.address = "{tls}"
listeners.ordered.tls.acme = "new.test"
[acme]
agree_to_terms = true
state = "acme"
directory = "{}"
[pools.one]
backends = ["{}"]
[[routes]]
path = "/"
pool = "one"
[upgrade]
sessions = "keep"
"#,
            authority.directory(),
            backend.address
        ))
        .await;
        Ordering { authority, proxy, tls, _backend: backend }
    }

    fn client(&self) -> Client {
        Client::to(self.tls).trusting(&self.authority.ca()).host("new.test")
    }

    async fn is_shown(&self) {
        let client = self.client();
        within("the certificate", async {
            while client.connect().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_ordered_is_shown_through_upgrades_and_a_restart_without_another_order() {
    let site = Ordering::start(|_| {}).await;
    site.is_shown().await;
    let (client, stop) = (site.client(), Arc::new(AtomicBool::new(false)));
    let is_stopped = Arc::clone(&stop);
    let shaking = tokio::spawn(async move {
        let mut faults = Vec::new();
        while !is_stopped.load(Relaxed) {
            faults.extend(client.connect().await.err());
            sleep(Duration::from_millis(1)).await;
        }
        faults
    });
    for _ in 0..3 {
        upgraded(&site.proxy).await;
    }
    stop.store(true, Relaxed);
    let faults = shaking.await.unwrap();
    assert!(faults.is_empty(), "{faults:?}\n{}", site.proxy.log());
    assert_eq!(site.authority.asked(Step::Order), 1);
    let issued = || site.proxy.log().matches("\"certificate issued\"").count();
    site.proxy.wait("its line", || issued() > 0).await;
    assert_eq!(issued(), 1);
}

#[tokio::test]
async fn an_order_under_way_is_begun_again_once_and_both_processes_answer_the_authority() {
    let processing = |authority: &Authority| {
        authority.fault(Step::Poll, Fault::State("processing", None));
    };
    let site = Ordering::start(processing).await;
    site.proxy.wait("an order under way", || site.authority.asked(Step::Poll) > 0).await;
    // The old process lives for as long as this.
    let mut session = traffic::open(&site.proxy.plain, "/").await.unwrap();
    let mut asking = TcpStream::connect(&site.proxy.plain).await.unwrap();
    asking.write_all(b"GET /.well-known/acme-challenge/of-another HTTP/1.1\r\n").await.unwrap();
    upgraded(&site.proxy).await;
    site.proxy
        .wait("the order of the new process", || site.authority.asked(Step::Order) == 2)
        .await;
    // Another instance orders, and the authority asks here, where the old process has the
    // connection and the new one the next.
    let place = site.authority.directory().replace("http://", "").replace([':', '/'], "_");
    let answers = site.proxy.path("acme").join(place).join("challenges");
    std::fs::write(answers.join("http_of-another"), "of-another.key").unwrap();
    asking.write_all(b"Host: new.test\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within("the old process's answer", asking.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("of-another.key"), "{answer}");
    let new = Client::to(site.proxy.plain.parse().unwrap());
    let (head, body) = new.path("/.well-known/acme-challenge/of-another").request("GET", "").await;
    assert_eq!((head.status(), body.as_str()), (200, "of-another.key"));
    site.authority.heal();
    site.is_shown().await;
    assert_eq!(site.authority.asked(Step::Order), 2);
    let failed = site.proxy.log().matches("certificate not issued").count();
    assert_eq!(failed, 0, "{}", site.proxy.log());
    session.close(None).await.unwrap();
}

#[tokio::test]
async fn an_old_process_asks_no_backend_any_more() {
    let backend = actors::Backend::echo("one").await;
    let proxy = Proxy::start(&format!(
        r#"
[pools.one]
backends = ["{}"]
health.probe = {{ http = "/probe", every = "250ms", timeout = "250ms" }}
[[routes]]
path = "/"
pool = "one"
[upgrade]
sessions = "keep"
"#,
        backend.address()
    ))
    .await;
    let probes = || {
        let heads = backend.heads();
        heads.iter().filter(|head| head.second() == "/probe").count()
    };
    proxy.wait("probes", || probes() > 3).await;
    let mut session = traffic::open(&proxy.plain, "/").await.unwrap();
    let new = upgraded(&proxy).await;
    let before = probes();
    proxy.wait("probes of the new process", || probes() > before + 3).await;
    // While the new one stands still nobody asks.
    // SAFETY: a process that this test started.
    let signal = |signal| assert_eq!(unsafe { libc::kill(new as libc::pid_t, signal) }, 0);
    signal(libc::SIGSTOP);
    sleep(Duration::from_millis(300)).await;
    let stopped = probes();
    sleep(Duration::from_secs(2)).await;
    let later = probes();
    signal(libc::SIGCONT);
    assert_eq!(later, stopped, "the old process has asked");
    proxy.wait("probes again", || probes() > later).await;
    session.close(None).await.unwrap();
}
