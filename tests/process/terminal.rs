//! A person at a terminal, who presses Ctrl-C.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic;

/// A terminal, and what is printed on it.
fn terminal() -> (OwnedFd, Arc<Mutex<String>>) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let printed = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&printed);
    std::thread::spawn(move || {
        let mut ours = File::from(ours);
        let mut bytes = [0; 4096];
        // Ends with an error once the program, and we, have closed it.
        while let Ok(count @ 1..) = ours.read(&mut bytes) {
            seen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    });
    (theirs, printed)
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
        let (theirs, printed) = terminal();
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
            proxy.signal(libc::SIGINT);
            proxy.wait("a word", || says("Ctrl-C again")).await;
            proxy.signal(libc::SIGINT);
            while session.next().await.is_some_and(|read| read.is_ok()) {}
        }
        proxy.exit().await;
    }
}
