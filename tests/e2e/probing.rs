//! Probes: what is asked of backends, what is believed, and what follows from it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

use crate::actors::{Backend, Certificates, Ending, Head, Session, Wire, drain, granted, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// A backend that opens WebSockets while it is well, and else answers 200; how its probes ended.
struct Patient {
    backend: Backend,
    is_well: Arc<AtomicBool>,
    endings: Arc<Mutex<Vec<Ending>>>,
}

impl Patient {
    async fn new() -> Patient {
        let is_well = Arc::new(AtomicBool::new(true));
        let endings: Arc<Mutex<Vec<Ending>>> = Arc::default();
        let script = {
            let (is_well, endings) = (Arc::clone(&is_well), Arc::clone(&endings));
            move |head: Head, wire: Wire| serve(head, wire, Arc::clone(&is_well), endings.clone())
        };
        let backend = Backend::script(script).await;
        Patient { backend, is_well, endings }
    }

    fn probes(&self) -> usize {
        self.backend.heads().iter().filter(|head| head.get("user-agent") == AGENT).count()
    }
}

const AGENT: &str = "tidegate-probe";

async fn serve(
    head: Head,
    mut wire: Wire,
    is_well: Arc<AtomicBool>,
    endings: Arc<Mutex<Vec<Ending>>>,
) {
    if !is_well.load(Relaxed) {
        let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        drain(&mut wire).await;
        return;
    }
    if wire.write_all(granted(&head).as_bytes()).await.is_err() {
        return;
    }
    let mut session = Session::server(wire).await;
    let ending = loop {
        if let Err(ending) = session.forward().await {
            break ending;
        }
    };
    if head.get("user-agent") == AGENT {
        endings.lock().await.push(ending);
    }
}

fn probed(backends: &[&Backend], probe: &str) -> Site {
    site(backends).pool(&format!("health.probe = {{ every = \"300ms\", {probe} }}"))
}

const BY_WEBSOCKET: &str = "timeout = \"300ms\", websocket = \"/probe?deep\"";

/// A sample of the scrape that has all of these labels.
fn sample(proxy: &Proxy, name: &str, backend: impl ToString, more: &str) -> Option<u64> {
    let start = format!("{name}{{pool=\"chat\",backend=\"{}\"{more}}} ", backend.to_string());
    proxy.scrape().lines().find_map(|line| line.strip_prefix(&*start)?.parse().ok())
}

fn up(proxy: &Proxy, backend: SocketAddr) -> Option<u64> {
    sample(proxy, "tidegate_backend_up", backend, "")
}

fn came_to(proxy: &Proxy, backend: impl ToString, outcome: &str) -> u64 {
    let more = format!(",outcome=\"{outcome}\"");
    sample(proxy, "tidegate_backend_probes_total", backend, &more).unwrap_or(0)
}

#[tokio::test]
async fn a_backend_that_opens_no_websocket_is_out_after_fall_and_back_after_rise() {
    let (sick, well) = (Patient::new().await, Backend::echo("well").await);
    let backends = [&sick.backend, &well];
    let proxy =
        Proxy::start(&probed(&backends, BY_WEBSOCKET).pool("balance = \"round_robin\"")).await;
    let address = sick.backend.address();
    until("two probes passed", || came_to(&proxy, address, "passed") >= 2).await;
    let head = sick.backend.heads()[0].clone();
    assert_eq!((head.second(), head.get("host")), ("/probe?deep", &*address.to_string()));
    sick.is_well.store(false, Relaxed);
    until("its fall", || up(&proxy, address) == Some(0)).await;
    assert!(came_to(&proxy, address, "status") >= 3);
    let before = sick.backend.heads().len() - sick.probes();
    for _ in 0..6 {
        let mut session = proxy.client().open().await;
        session.echo("to the other").await;
    }
    assert_eq!(sick.backend.heads().len() - sick.probes(), before, "no new work");
    assert_eq!(came_to(&proxy, well.address(), "status"), 0);
    sick.is_well.store(true, Relaxed);
    until("its rise", || up(&proxy, address) == Some(1)).await;
    for ending in &*sick.endings.lock().await {
        assert_eq!(*ending, Ending::Close(1000, String::new()));
    }
    // Probes are sessions of nobody.
    let page = proxy.scrape();
    assert!(page.contains("tidegate_sessions_opened_total{route=\"all\"} 6"), "{page}");
    proxy.stop().await;
}

#[tokio::test]
async fn half_of_a_pool_serves_whatever_probes_say() {
    let all = [Patient::new().await, Patient::new().await];
    all.iter().for_each(|one| one.is_well.store(false, Relaxed));
    let backends = all.each_ref().map(|one| &one.backend);
    let proxy = Proxy::start(&probed(&backends, &format!("{BY_WEBSOCKET}, fall = 1"))).await;
    let is_failing =
        |one: &Patient| sample(&proxy, "tidegate_backend_probe_up", one.backend.address(), "");
    // What a probe found is counted before it is believed.
    until("both to fail", || {
        all.iter().all(|one| came_to(&proxy, one.backend.address(), "status") > 0)
            && all.each_ref().map(is_failing) == [Some(0), Some(0)]
    })
    .await;
    let ups = all.iter().filter(|one| up(&proxy, one.backend.address()) == Some(1));
    assert_eq!(ups.count(), 1);
    let (answer, _) = proxy.client().handshake().await;
    assert_eq!(answer.status(), 200, "the backend's own answer");
    proxy.stop().await;
}

#[tokio::test]
async fn no_work_comes_to_a_backend_that_is_new_before_its_first_probe_has_passed() {
    let one = Patient::new().await;
    one.is_well.store(false, Relaxed);
    let probe = format!("{BY_WEBSOCKET}, before_use = true, fall = 100");
    let proxy = Proxy::start(&probed(&[&one.backend], &probe)).await;
    until("a probe", || came_to(&proxy, one.backend.address(), "status") > 0).await;
    assert_eq!(proxy.client().handshake().await.0.status(), 503);
    one.is_well.store(true, Relaxed);
    let address = one.backend.address();
    let is_believed = || came_to(&proxy, address, "passed") > 0 && up(&proxy, address) == Some(1);
    until("a probe", is_believed).await;
    proxy.client().open().await.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_probe_is_the_trial_of_a_backend_that_could_not_be_reached() {
    let (one, other) = (Backend::echo("one").await, Backend::echo("other").await);
    let site = probed(&[&one, &other], "timeout = \"300ms\", tcp = true, fall = 1000")
        .pool("health.eject_time = \"1h\"")
        .pool("balance = \"round_robin\"");
    let proxy = Proxy::start(&site).await;
    let address = one.kill().await;
    let ejection = async {
        while up(&proxy, address) != Some(0) {
            proxy.client().open().await.close(1000, "").await;
        }
    };
    crate::actors::within("its ejection", ejection).await;
    let back = Backend::echo_at("one", address).await;
    until("its return without any request", || up(&proxy, address) == Some(1)).await;
    drop(back);
    proxy.stop().await;
}

#[tokio::test]
async fn sessions_leave_a_backend_that_fails_its_probes() {
    let (sick, well) = (Patient::new().await, Backend::echo("well").await);
    let backends = [&sick.backend, &well];
    let site = probed(&backends, &format!("{BY_WEBSOCKET}, fall = 1"))
        .pool("balance = \"round_robin\"")
        .pool("health.sessions_after = \"100ms\"")
        .route("hold.resume = \"always\"");
    let proxy = Proxy::start(&site).await;
    let mut sessions = [proxy.client().open().await, proxy.client().open().await];
    until("two probes passed", || came_to(&proxy, sick.backend.address(), "passed") >= 2).await;
    sick.is_well.store(false, Relaxed);
    let moved = || {
        let sample = "tidegate_holds_ended_total{route=\"all\",result=\"resumed\"} 1";
        proxy.scrape().lines().any(|line| line == sample)
    };
    until("the move", moved).await;
    for session in &mut sessions {
        session.echo("goes on").await;
    }
    assert_eq!(well.messages().len(), 2);
    proxy.stop().await;
}

#[tokio::test]
async fn probes_pass_over_tls_and_unix_sockets_and_by_what_is_said() {
    let certificates = Certificates::new(&["localhost"]);
    let tls = Backend::echo_tls("tls", &certificates).await;
    let ca = certificates.ca();
    let tls_site = |probe: &str| {
        probed(&[&tls], probe)
            .pool(&format!("tls = {{ ca = \"{}\", server_name = \"localhost\" }}", ca.display()))
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app");
    let _unix = Backend::echo_unix("unix", &path);
    let address = format!("unix:{}", path.display());
    let welcoming = Backend::sessions(|mut session| async move {
        session.send("you are welcome").await;
        drop(session.next().await);
    })
    .await;
    let echo = Backend::echo("plain").await;
    let secure = tls.address().to_string();
    let cases: [(Site, &str, &str); 6] = [
        (tls_site("websocket = \"/\", pong = true, timeout = \"300ms\""), &secure, "pong over TLS"),
        (tls_site("tcp = true, timeout = \"300ms\""), &secure, "TLS"),
        (
            probed(&[], "websocket = \"/\", pong = true, timeout = \"300ms\"").backend(&address),
            &address,
            "pong over a unix socket",
        ),
        (
            probed(&[&welcoming], "websocket = \"/\", message = \"wel\", timeout = \"300ms\""),
            &welcoming.address().to_string(),
            "a message",
        ),
        (
            probed(
                &[&echo],
                "http = \"/healthz\", body = '~ ^plain GET /h\\w+', host = \"a.test\", \
                 status = [200, 204], timeout = \"300ms\"",
            ),
            &echo.address().to_string(),
            "a body",
        ),
        (
            probed(&[&echo], "http = \"/x\", timeout = \"300ms\"").pool("proxy_protocol = \"v1\""),
            &echo.address().to_string(),
            "none: it reads a PROXY header where a request should be",
        ),
    ];
    for (site, address, what) in cases {
        let proxy = Proxy::start(&site).await;
        let outcomes = || ["passed", "broken", "status"].map(|word| came_to(&proxy, address, word));
        until(what, || outcomes() != [0, 0, 0]).await;
        assert_eq!(outcomes()[0] > 0, !what.starts_with("none"), "{what}: {:?}", outcomes());
        proxy.stop().await;
    }
    assert!(echo.heads().iter().any(|head| head.get("host") == "a.test"));
}

/// Writes without end.
async fn flood(mut wire: Wire, head: Vec<u8>) {
    let mut sent = wire.write_all(&head).await;
    while sent.is_ok() {
        sent = wire.write_all(&[b'x'; 16 * 1024]).await;
    }
}

/// What a backend answers to a head.
type Answer = fn(&Head) -> Vec<u8>;

/// Of each hostile backend: how its probe comes out, the probe, what is answered, and whether bytes
/// without end follow.
fn hostile() -> [(&'static str, &'static str, Answer, bool); 11] {
    let silence: Answer = |_| Vec::new();
    [
        ("timeout", "websocket = \"/\"", silence, false),
        ("timeout", "http = \"/\"", silence, false),
        ("timeout", "websocket = \"/\", pong = true", |head| granted(head).into(), false),
        ("broken", "websocket = \"/\"", |_| b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(), false),
        ("broken", "http = \"/\"", |_| b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(), false),
        (
            "status",
            "http = \"/\"",
            |_| {
                b"HTTP/1.1 101 So\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                    .to_vec()
            },
            false,
        ),
        (
            "handshake",
            "websocket = \"/\"",
            |_| b"HTTP/1.1 101 So\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n".to_vec(),
            false,
        ),
        ("handshake", "websocket = \"/\"", |_| b"HTTP/1.1 200 So\r\nX: ".to_vec(), true),
        (
            "body",
            "http = \"/\", body = \"ready\"",
            |_| b"HTTP/1.1 200 So\r\nContent-Length: 1073741824\r\n\r\n".to_vec(),
            true,
        ),
        (
            "too_large",
            "websocket = \"/\", message = \"ready\"",
            |head| {
                let mut answer: Vec<u8> = granted(head).into();
                answer.extend(b"\x82\x7f\0\0\0\0\x40\0\0\0");
                answer
            },
            true,
        ),
        (
            "closed",
            "websocket = \"/\", message = \"ready\"",
            |head| {
                let mut answer: Vec<u8> = granted(head).into();
                answer.extend(b"\x88\x02\x03\xf5");
                answer
            },
            false,
        ),
    ]
}

#[tokio::test]
async fn whatever_a_backend_does_a_probe_ends_and_says_why() {
    for (outcome, probe, answer, floods) in hostile() {
        let script = move |head: Head, mut wire: Wire| async move {
            match floods {
                true => flood(wire, answer(&head)).await,
                false => {
                    let _ = wire.write_all(&answer(&head)).await;
                    drain(&mut wire).await;
                }
            }
        };
        let backend = Backend::script(script).await;
        let probe = format!("{probe}, timeout = \"300ms\", fall = 1");
        let proxy = Proxy::start(&probed(&[&backend], &probe)).await;
        let address = backend.address();
        let is_said = || came_to(&proxy, address, outcome) >= 2;
        let said = || {
            let page = proxy.scrape();
            let lines = page.lines().filter(|line| line.starts_with("tidegate_backend_probes"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        until(&format!("{outcome} of {probe}: {:?}", said()), is_said).await;
        // The last backend serves all the same.
        assert_eq!(up(&proxy, address), Some(1), "{outcome} of {probe}");
        proxy.stop().await;
    }
}
