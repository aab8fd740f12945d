//! Upgrades that do not come about: the old process serves on and says why.

use std::net::TcpListener;
use std::time::Duration;

use crate::backend::Backend;
use crate::proxy::{Proxy, binary};
use crate::traffic::{Crowd, Ended, Kind, census};
use crate::upgrade::{is_alive, upgraded};

fn configuration(backend: &Backend, more: &str) -> String {
    format!(
        "[pools.one]\nbackends = [\"{}\"]\n[[routes]]\npath = \"/\"\npool = \"one\"\n{more}",
        backend.address
    )
}

const KIND: Kind = Kind { size_max: 4096, pause: Duration::from_millis(10) };

/// Tries an upgrade that must fail with this exit code, saying this; then all is as it was.
async fn fails(proxy: &Proxy, code: i32, why: &str) {
    let (exit, said) = proxy.upgrade().await;
    assert_eq!(exit, code, "{said}");
    assert!(said.contains(why), "{said}");
    assert!(is_alive(proxy.pid()) && proxy.children().is_empty(), "{}", proxy.children());
    let mut new = Crowd::new();
    new.join(1, &proxy.plain, "/", KIND).await;
    assert_eq!(new.finish().await, [Ended::Asked]);
    assert_eq!(proxy.metric("tidegate_process_number"), 1.0);
    let first = why.lines().next().unwrap().replace('"', "\\\"");
    // The log is written by a thread of its own.
    proxy.wait("a word in the log", || proxy.log().contains(&first)).await;
}

#[tokio::test]
async fn a_new_process_that_fails_changes_nothing() {
    let backend = Backend::start();
    let text = configuration(&backend, "");
    let proxy = Proxy::start(&text).await;
    let mut crowd = Crowd::new();
    crowd.join(10, &proxy.plain, "/", KIND).await;

    // As a panic in `main` ends.
    proxy.install_script("echo 'no library libnew.so' >&2; exit 101");
    fails(&proxy, 1, "exit status: 101").await;
    proxy.wait("its last words", || proxy.log().contains("no library libnew.so")).await;
    proxy.install_script("kill -SEGV $$");
    fails(&proxy, 1, "signal: 11").await;
    // One that is something else altogether, and one that is never ready.
    proxy.install_script("exec sleep 1000 < /dev/null");
    fails(&proxy, 1, "does not know how to take over").await;
    // One that dies after it was ready, in the moment in which nobody accepts.
    let ready = r#"echo '{"say":"ready","taken":[]}' >&0"#;
    let until_go = r#"while read -r said; do case "$said" in *'"go"'*) exit 7;; esac; done"#;
    proxy.install_script(&format!("{ready}; {until_go}"));
    fails(&proxy, 1, "exit status: 7").await;
    proxy.install_script("exec sleep 1000");
    proxy.configure(&configuration(&backend, "[upgrade]\ntimeout = \"2s\"\n"));
    proxy.reload_to(2).await;
    fails(&proxy, 1, "not ready within `upgrade.timeout`, 2 s").await;
    proxy.configure(&text);
    proxy.reload_to(3).await;
    // One that dies after it was ready, in the moment in which nobody accepts.
    let ready = r#"echo '{"say":"ready","taken":[]}' >&0"#;
    let until_go = r#"while read -r said; do case "$said" in *'"go"'*) exit 7;; esac; done"#;
    proxy.install_script(&format!("{ready}; {until_go}"));
    fails(&proxy, 1, "exit status: 7").await;
    proxy.install(&proxy.path("nothing"));
    fails(&proxy, 1, "could not be started: No such file").await;

    proxy.install(&binary());
    proxy.configure("[[routes]]\npath = \n");
    fails(&proxy, 3, "tidegate.toml").await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = format!("[listeners.busy]\naddress = \"{}\"\n", taken.local_addr().unwrap());
    proxy.configure(&format!("{text}{busy}"));
    fails(&proxy, 1, "the port is in use").await;

    // What was wrong is right now.
    proxy.configure(&text);
    upgraded(&proxy).await;
    assert_eq!(proxy.metric("tidegate_process_number"), 2.0);
    let ends = crowd.finish().await;
    assert!(ends.iter().all(|end| *end == Ended::Asked), "{}", census(&ends));
    assert!(proxy.exit().await.success());
}

#[tokio::test]
async fn a_new_process_has_its_time_to_begin_and_the_old_one_serves_meanwhile() {
    let backend = Backend::start();
    let text = configuration(&backend, "[upgrade]\ntimeout = \"60s\"\n");
    let proxy = Proxy::start(&text).await;
    let (go, program) = (proxy.path("go"), binary());
    let waits = format!("while [ ! -e '{}' ]; do sleep 0.02; done", go.display());
    proxy.install_script(&format!("{waits}; exec '{}' \"$@\"", program.display()));
    proxy.signal(libc::SIGUSR2);
    proxy.wait("a new process", || !proxy.children().is_empty()).await;
    let mut crowd = Crowd::new();
    crowd.join(5, &proxy.plain, "/", KIND).await;
    assert_eq!(proxy.metric("tidegate_process_number"), 1.0);
    std::fs::write(&go, "").unwrap();
    let serves = || proxy.metric("tidegate_process_number") == 2.0;
    proxy.wait("the new process to serve", serves).await;
    assert_eq!(crowd.finish().await, vec![Ended::Asked; 5]);
    assert!(proxy.exit().await.success());
}

#[tokio::test]
async fn a_second_upgrade_is_refused_while_one_is_under_way_and_a_stop_ends_it() {
    let backend = Backend::start();
    let proxy = Proxy::start(&configuration(&backend, "[drain]\ndelay = \"0s\"\n")).await;
    proxy.install_script("exec sleep 1000");
    proxy.signal(libc::SIGUSR2);
    proxy.wait("a new process", || !proxy.children().is_empty()).await;
    let new: u32 = proxy.children().trim().parse().unwrap();
    let (code, said) = proxy.upgrade().await;
    assert_eq!((code, said.contains("an upgrade is under way")), (4, true), "{said}");
    proxy.signal(libc::SIGTERM);
    proxy.wait("the end of the new process", || !is_alive(new)).await;
    assert!(proxy.exit().await.success());
}

#[tokio::test]
async fn more_older_processes_than_allowed_are_refused_until_one_has_left() {
    let backend = Backend::start();
    let text = "[upgrade]\nold_processes_max = 0\n[drain]\ndelay = \"0s\"\nwindow = \"100ms\"\n";
    let proxy = Proxy::start(&configuration(&backend, text)).await;
    let mut crowd = Crowd::new();
    crowd.join(3, &proxy.plain, "/", KIND).await;
    upgraded(&proxy).await;
    let (code, said) = proxy.upgrade().await;
    let pid = proxy.pid();
    assert_eq!((code, said.contains(&format!("allows: {pid} "))), (4, true), "{said}");
    // The old one is asked in vain; told to stop, it drains what it has.
    proxy.signal(libc::SIGUSR2);
    proxy.wait("a refusal", || proxy.log().contains("upgrade that one")).await;
    proxy.signal(libc::SIGTERM);
    let ends = crowd.ended().await;
    assert_eq!(ends, vec![Ended::Close(1012); 3]);
    let alone = || proxy.metric("tidegate_older_processes") == 0.0;
    proxy.wait("the older process to leave", alone).await;
    upgraded(&proxy).await;
}

#[tokio::test]
async fn a_stop_of_the_newest_stops_the_older_ones_too() {
    let backend = Backend::start();
    let text = "[drain]\ndelay = \"0s\"\nwindow = \"100ms\"\n";
    let proxy = Proxy::start(&configuration(&backend, text)).await;
    let mut crowd = Crowd::new();
    let mut newest = proxy.pid();
    for _ in 0..3 {
        crowd.join(2, &proxy.plain, "/", KIND).await;
        newest = upgraded(&proxy).await;
    }
    // SAFETY: a process this test's own has started, which lives: it has just answered.
    assert_eq!(unsafe { libc::kill(newest as libc::pid_t, libc::SIGTERM) }, 0);
    assert_eq!(crowd.ended().await, vec![Ended::Close(1012); 6]);
    proxy.wait("the end of the newest", || !is_alive(newest)).await;
    assert!(!proxy.path("control.socket").exists(), "its file goes with the last");
    assert!(proxy.exit().await.success());
}

#[tokio::test]
async fn the_first_process_of_a_container_is_not_upgraded() {
    let backend = Backend::start();
    let behind = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "--"];
    let proxy = Proxy::start_behind(&behind, &configuration(&backend, ""));
    let ready = || proxy.get("/readyz").is_some_and(|(status, _)| status == 200);
    proxy.wait("readiness", ready).await;
    let (code, said) = proxy.upgrade().await;
    assert_eq!((code, said.contains("PID 1")), (4, true), "{said}");
    assert!(proxy.get("/readyz").is_some_and(|(status, _)| status == 200));
}
