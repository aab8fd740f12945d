//! A process that does not run for a while, as on a machine that is suspended.

use std::time::Duration;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic::{Crowd, Ended, Kind};

/// Sessions, and the seconds over which they are drained.
const SESSIONS: usize = 40;
const WINDOW: u64 = 20;

#[tokio::test]
async fn a_drain_keeps_its_pace_over_a_sleep() {
    let one = Backend::start();
    let address = &one.address;
    let proxy = Proxy::start(&format!(
        "pools.one.backends = [\"{address}\"]\nroutes = [{{ path = \"/\", pool = \"one\" }}]\n"
    ))
    .await;
    let mut crowd = Crowd::new();
    // Those that talk are polled before the wheel turns.
    let kind = Kind { size_max: 64, pause: Duration::from_millis(200) };
    crowd.join(SESSIONS, &proxy.plain, "/", kind).await;
    let window = format!("{WINDOW}s");
    let (code, said) = proxy.order("drain", &["--all", "--window", &window, "--force"]);
    assert_eq!(code, 0, "{said}");
    proxy.signal(libc::SIGSTOP);
    tokio::time::sleep(Duration::from_secs(WINDOW / 2)).await;
    proxy.signal(libc::SIGCONT);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = proxy.metric("tidegate_sessions_live") as usize;
    // Half of them, had they all been due.
    assert!(left > SESSIONS * 3 / 4, "{left} of {SESSIONS} are left\n{}", proxy.log());
    proxy.wait("the drain to put off its end", || proxy.log().contains("drains put off")).await;
    drop(crowd);
}

#[tokio::test]
async fn a_stop_has_its_time_also_where_the_machine_slept() {
    let one = Backend::start();
    let address = &one.address;
    let proxy = Proxy::start(&format!(
        "pools.one.backends = [\"{address}\"]\nroutes = [{{ path = \"/\", pool = \"one\" }}]\n\
         [drain]\ndelay = \"0s\"\nwindow = \"3s\"\ntimeout = \"5s\"\n"
    ))
    .await;
    let mut crowd = Crowd::new();
    let kind = Kind { size_max: 64, pause: Duration::from_millis(200) };
    crowd.join(SESSIONS, &proxy.plain, "/", kind).await;
    proxy.signal(libc::SIGTERM);
    proxy.wait("the drain to begin", || proxy.log().contains("drain begins")).await;
    proxy.signal(libc::SIGSTOP);
    tokio::time::sleep(Duration::from_secs(10)).await;
    proxy.signal(libc::SIGCONT);
    assert_eq!(crowd.ended().await, vec![Ended::Close(1012); SESSIONS]);
    proxy.wait("the end", || proxy.log().contains("stopped")).await;
    let (log, stopped) = (proxy.log(), "stopped drained=true");
    assert!(log.contains(stopped) || log.contains("\"drained\":true"), "{log}");
    assert!(proxy.exit().await.success());
}
