//! What `/metrics` says of a busy proxy: two workers, two backends, plain requests and WebSockets.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::actors::{Backend, Certificates, granted, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use tokio::io::AsyncWriteExt;

/// The value of a sample: its name and labels as they are written.
fn value(proxy: &Proxy, sample: &str) -> Option<f64> {
    let page = proxy.scrape();
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

/// A backend that answers a target `/NNN` with that status, and a handshake so, too, unless it is
/// for `/chat`.
async fn obedient() -> Backend {
    Backend::script(|head, mut wire| async move {
        let target = head.second().trim_start_matches('/').to_owned();
        let answer = match head.is_upgrade() && target == "chat" {
            true => granted(&head),
            false => {
                format!("HTTP/1.1 {target} So\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            }
        };
        let _ = wire.write_all(answer.as_bytes()).await;
        crate::actors::drain(&mut wire).await;
    })
    .await
}

fn two(backends: &[&Backend]) -> Site {
    site(backends).pool("balance = \"round_robin\"\nretry.attempts_max = 1")
}

#[tokio::test]
async fn answers_are_counted_by_route_and_backend_and_their_time_by_route() {
    let backends = [obedient().await, obedient().await];
    let api = "[[routes]]\nname = \"api\"\npath = \"/404\"\npool = \"chat\"\n";
    let with_api = two(&[&backends[0], &backends[1]]).table(api);
    let proxy = Proxy::start(&with_api).await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        for (path, status) in [("/200", 200), ("/404", 404), ("/503", 503)] {
            let (answer, _) = proxy.client().path(path).request("POST", "x").await;
            assert_eq!(answer.status(), status);
        }
        let (answer, _) = proxy.client().path("/403").handshake().await;
        assert_eq!(answer.status(), 403);
        sessions.push(proxy.client().path("/chat").open().await);
    }
    let of_both = |metric: &str, status: &str| {
        let each = backends.each_ref().map(|backend| {
            let address = backend.address();
            let labels = format!("pool=\"chat\",backend=\"{address}\",status=\"{status}\"");
            value(&proxy, &format!("tidegate_backend_{metric}_total{{{labels}}}")).unwrap()
        });
        each.iter().sum::<f64>()
    };
    for (metric, status, count) in [
        ("requests", "2xx", 4.),
        ("requests", "4xx", 4.),
        ("requests", "5xx", 4.),
        ("requests", "1xx", 0.),
        ("handshakes", "1xx", 4.),
        ("handshakes", "4xx", 4.),
    ] {
        assert_eq!(of_both(metric, status), count, "{metric} {status}");
    }
    for (sample, count) in [
        ("tidegate_requests_total{route=\"api\",status=\"4xx\"}", 4.),
        ("tidegate_requests_total{route=\"all\",status=\"2xx\"}", 4.),
        ("tidegate_requests_total{route=\"all\",status=\"5xx\"}", 4.),
        ("tidegate_request_seconds_count{route=\"api\"}", 4.),
        ("tidegate_request_seconds_count{route=\"all\"}", 8.),
        ("tidegate_request_seconds_bucket{le=\"+Inf\",route=\"all\"}", 8.),
    ] {
        assert_eq!(value(&proxy, sample), Some(count), "{sample}");
    }
    // A session is counted once it has begun, which the client's 101 does not wait for.
    let handshakes = "tidegate_handshake_seconds_count{route=\"all\"}";
    until("the handshakes", || value(&proxy, handshakes) == Some(8.)).await;

    // A route that a reload removes, and a backend, take their series along; the counts of the
    // others go on.
    drop(sessions);
    until("the sessions' ends", || proxy.sessions() == 0).await;
    proxy.force(&two(&[&backends[0]])).await.unwrap();
    let gone = backends[1].address().to_string();
    until("the series' end", || {
        let page = proxy.scrape();
        !page.contains("route=\"api\"") && !page.contains(&gone)
    })
    .await;
    assert_eq!(value(&proxy, "tidegate_request_seconds_count{route=\"all\"}"), Some(8.));
    proxy.stop().await;
}

#[tokio::test]
async fn the_process_its_certificates_and_its_reloads_are_told() {
    let backend = obedient().await;
    let certificates = Certificates::new(&["localhost"]);
    let secure = site(&[&backend]).https(&[&certificates], "");
    let proxy = Proxy::start(&secure).await;
    let told = |sample: &str| value(&proxy, sample).unwrap_or_else(|| panic!("no {sample}"));
    let chain = certificates.path().join("site.pem");
    let expiry = format!(
        "tidegate_certificate_expiry_timestamp_seconds{{listener=\"https\",certificate=\"{}\"}}",
        chain.display()
    );
    assert!(told(&expiry) > told("process_start_time_seconds"));
    assert!(told("process_cpu_seconds_total") > 0.);
    assert!(told("process_resident_memory_bytes") > 1e6);
    assert!(told("process_virtual_memory_bytes") >= told("process_resident_memory_bytes"));
    assert!(told("process_threads") >= 3., "two workers and their supervisor");
    assert!(told("process_open_fds") >= 5. && told("process_max_fds") >= 64.);

    let begun = told("tidegate_config_last_reload_success_timestamp_seconds");
    assert!(begun >= told("process_start_time_seconds").floor());
    let state = || {
        let ok = told("tidegate_config_last_reload_successful");
        (ok, told("tidegate_config_restart_needed"))
    };
    assert_eq!(state(), (1., 0.));
    proxy.force_toml("colour = \"red\"\n").await.unwrap_err();
    assert_eq!(state(), (0., 0.));
    assert_eq!(told("tidegate_config_last_reload_success_timestamp_seconds"), begun);
    assert!(told("tidegate_config_last_reload_timestamp_seconds") >= begun);
    let more_workers = secure.toml().replace("workers = 2", "workers = 3");
    proxy.force_toml(&more_workers).await.unwrap();
    assert_eq!(state(), (1., 1.));
    // It is needed still after a reload that changes something else.
    let another = format!("{more_workers}allowed_origins = \"any\"\n");
    proxy.force_toml(&another).await.unwrap();
    assert_eq!(state(), (1., 1.));
    proxy.force_toml(&secure.toml()).await.unwrap();
    assert_eq!(state(), (1., 0.));
    proxy.stop().await;
}

/// `promtool` finds nothing wrong with either format, where it is installed.
#[tokio::test]
async fn promtool_has_nothing_to_say() {
    let backend = obedient().await;
    let proxy = Proxy::start(&site(&[&backend]).table("[admin]\naddress = \"127.0.0.1:0\"")).await;
    proxy.client().path("/200").request("GET", "").await;
    let (answer, page) = proxy.admin().path("/metrics").request("GET", "").await;
    assert_eq!(answer.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    match promtool.spawn() {
        Err(error) => println!("promtool is not here, so the page was not judged by it: {error}"),
        Ok(mut child) => {
            child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
            let judged = child.wait_with_output().unwrap();
            let said = [judged.stdout, judged.stderr].concat();
            assert!(
                judged.status.success() && said.is_empty(),
                "{}",
                String::from_utf8_lossy(&said)
            );
        }
    }
    proxy.stop().await;
}
