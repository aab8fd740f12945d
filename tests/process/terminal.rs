//! A person at a terminal, who presses Ctrl-C, or looks at `tidegate top`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::backend::Backend;
use crate::proxy::{Proxy, binary};
use crate::traffic;

/// A terminal, what is printed on it, and its keys.
fn terminal() -> (OwnedFd, Arc<Mutex<String>>, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let printed = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&printed);
    let mut ours = File::from(ours);
    let keys = ours.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        // Ends with an error once the program, and we, have closed it.
        while let Ok(count @ 1..) = ours.read(&mut bytes) {
            seen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    });
    (theirs, printed, keys)
}

/// A stop that waits for hours, unless it is in a hurry.
const PATIENT: &str = "drain = { delay = \"1h\", window = \"1h\", timeout = \"3h\" }\n";

#[tokio::test]
async fn ctrl_c_at_a_terminal_stops_at_once_when_there_is_no_session_and_else_says_how() {
    let backend = Backend::start();
    let site = format!(
        "{PATIENT}pools.echo.backends = [\"{}\"]\n\
         routes = [{{ path = \"/\", pool = \"echo\" }}]\n",
        backend.address
    );
    for has_session in [false, true] {
        let (theirs, printed, _keys) = terminal();
        let on_terminal = |command: &mut std::process::Command| {
            command.stderr(Stdio::from(theirs));
        };
        let proxy = Proxy::start_by(&[], &site, on_terminal);
        let says = |what: &str| printed.lock().unwrap().contains(what);
        proxy.wait("the start", || says("started")).await;
        if !has_session {
            proxy.signal(libc::SIGINT);
        } else {
            let mut session = traffic::open(&proxy.plain, "/").await.unwrap();
            proxy.wait("the session", || proxy.metric("tidegate_sessions_live") == 1.0).await;
            proxy.signal(libc::SIGINT);
            proxy.wait("a word", || says("Ctrl-C again")).await;
            proxy.signal(libc::SIGINT);
            while session.next().await.is_some_and(|read| read.is_ok()) {}
        }
        proxy.exit().await;
    }
}

#[tokio::test]
async fn top_draws_on_a_terminal_and_puts_it_back_by_every_way_out() {
    let backend = Backend::start();
    let site = format!(
        "pools.echo.backends = [\"{}\"]\nroutes = [{{ path = \"/\", pool = \"echo\" }}]\n",
        backend.address
    );
    let proxy = Proxy::start(&site).await;
    let _session = traffic::open(&proxy.plain, "/").await.unwrap();
    proxy.wait("the session", || proxy.metric("tidegate_sessions_live") == 1.0).await;
    let (_, listed) = proxy.order("sessions", &["--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed["sessions"][0]["id"].as_str().unwrap();
    for way_out in ["q", "\u{3}", "SIGTERM", "SIGINT"] {
        let (theirs, printed, mut keys) = terminal();
        let modes = || tcgetattr(&theirs).unwrap().local_modes;
        let cooked = modes();
        let mut command = Command::new(binary());
        command.arg("top").arg("--socket").arg(proxy.path("control.socket"));
        let on_terminal = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(on_terminal()).stdout(on_terminal()).stderr(on_terminal());
        let mut top = command.spawn().unwrap();
        let says = |what: &str| printed.lock().unwrap().contains(what);
        proxy.wait("the busiest session", || says("sessions 1 ") && says(id)).await;
        assert!(says("\u{1b}[?1049h") && !modes().contains(LocalModes::ICANON));
        keys.write_all(b"m").unwrap();
        proxy.wait("another order", || says("b bytes: messages")).await;
        keys.write_all(b"/nothing\r").unwrap();
        proxy.wait("the filter", || says("only: nothing")).await;
        match way_out {
            "SIGTERM" | "SIGINT" => {
                let signal = if way_out == "SIGINT" { libc::SIGINT } else { libc::SIGTERM };
                // SAFETY: a signal to a child that has not been waited for, so the id is its own.
                assert_eq!(unsafe { libc::kill(top.id() as libc::pid_t, signal) }, 0);
            }
            key => keys.write_all(key.as_bytes()).unwrap(),
        }
        let ended = tokio::task::spawn_blocking(move || top.wait().unwrap()).await.unwrap();
        assert_eq!(ended.code(), Some(0), "{way_out:?}");
        assert_eq!(modes(), cooked, "{way_out:?}");
        proxy.wait("the page of before", || says("\u{1b}[?1049l")).await;
    }
}
