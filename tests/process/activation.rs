//! A service manager's part: sockets that it opened, what it is told, and what it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crate::backend::Backend;
use crate::proxy::{PATIENCE, Proxy};
use crate::traffic::{Crowd, Ended, Kind};
use crate::upgrade::{is_alive, upgraded};

const KIND: Kind = Kind { size_max: 4096, pause: Duration::from_millis(10) };

fn configuration(backend: &Backend, more: &str) -> String {
    format!(
        "[pools.one]\nbackends = [\"{}\"]\n[[routes]]\npath = \"/\"\npool = \"one\"\n{more}",
        backend.address
    )
}

/// Hands these down as a service manager does (sd_listen_fds(3)): from descriptor 3 on.
fn hand_down(command: &mut Command, fds: [RawFd; 3], names: &str, notify: &str) {
    command.env("LISTEN_FDS", fds.len().to_string()).env("LISTEN_FDNAMES", names);
    command.env("NOTIFY_SOCKET", notify);
    let dup = move || {
        // Out of the way first, so that none is overwritten by another.
        // SAFETY: dup2(2) and fcntl(2) are safe between fork and exec (signal-safety(7)), and the
        // descriptors are open: the test holds them.
        let high = fds.map(|fd| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 100) });
        for (fd, to) in high.into_iter().zip(3..) {
            // SAFETY: as above.
            if unsafe { libc::dup2(fd, to) } != to {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure only makes the calls above and allocates nothing.
    unsafe { command.pre_exec(dup) };
}

/// The next state told.
fn told(notify: &UnixDatagram) -> String {
    let mut bytes = [0; 512];
    let length = notify.recv(&mut bytes).expect("a state is told");
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// Whether a new session works there.
async fn serves(to: &str) {
    let mut crowd = Crowd::new();
    crowd.join(1, to, "/", KIND).await;
    assert_eq!(crowd.finish().await, [Ended::Asked], "{to}");
}

#[tokio::test]
async fn sockets_of_a_service_manager_are_taken_by_address_and_name_and_passed_on() {
    let backend = Backend::start();
    let dir = tempfile::tempdir().unwrap();
    let (path, notify_path) = (dir.path().join("local"), dir.path().join("notify"));
    let notify = UnixDatagram::bind(&notify_path).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let by_name = TcpListener::bind("127.0.0.1:0").unwrap();
    let by_address = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let fds = [by_name.as_raw_fd(), by_address.as_raw_fd(), unix.as_raw_fd()];
    let more = by_address.local_addr().unwrap().to_string();
    let text = configuration(&backend, &format!("[listeners.more]\naddress = \"{more}\"\n"));
    // The process id stays the same over `exec`.
    let behind = ["/bin/sh", "-c", "export LISTEN_PID=$$; exec \"$@\"", "sh"];
    let proxy = Proxy::start_by(&behind, &text, |command| {
        hand_down(command, fds, "plain:tidegate.socket:local", notify_path.to_str().unwrap());
    });
    assert_eq!(told(&notify), "READY=1");
    assert_eq!(told(&notify), "STATUS=generation 1 is in force");
    let named = by_name.local_addr().unwrap().to_string();
    let local = format!("unix:{}", path.display());
    for to in [&named, &more, &local] {
        serves(to).await;
    }
    assert!(crate::traffic::open(&proxy.plain, "/").await.is_err(), "the manager's is enough");

    let first = proxy.pid();
    for _ in 0..2 {
        let new = upgraded(&proxy).await;
        assert_eq!(told(&notify), format!("MAINPID={new}"));
        for to in [&named, &more, &local] {
            serves(to).await;
        }
    }
    proxy.wait("the first to leave", || !is_alive(first)).await;
    notify.set_nonblocking(true).unwrap();
    let silence = notify.recv(&mut [0; 512]).unwrap_err();
    assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock, "who leaves says nothing");
    assert!(path.exists(), "the file is the manager's");
}

#[tokio::test]
async fn a_service_manager_is_told_when_a_reload_begins_and_ends_and_what_came_of_it() {
    let backend = Backend::start();
    let dir = tempfile::tempdir().unwrap();
    let notify = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let text = configuration(&backend, "");
    let proxy = Proxy::start_by(&[], &text, |command| {
        command.env("NOTIFY_SOCKET", dir.path().join("notify"));
    });
    assert_eq!(told(&notify), "READY=1");
    assert_eq!(told(&notify), "STATUS=generation 1 is in force");

    // A service of `Type=notify-reload` is sent SIGHUP, and waits.
    let mut last = 0;
    let mut hang_up = |status: &str| {
        proxy.signal(libc::SIGHUP);
        let begun = told(&notify);
        let micros = begun.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&begun);
        let micros: u64 = micros.parse().unwrap();
        assert!(micros > last, "{micros} after {last}");
        last = micros;
        let said = told(&notify);
        assert!(said.starts_with(status), "{said}");
        assert_eq!(told(&notify), "READY=1");
        said
    };
    hang_up("STATUS=generation 2 is in force");
    proxy.configure(&configuration(&backend, "colour = 1\ncolours = 2\n"));
    let said = hang_up("STATUS=reload refused, generation 2 is in force: ");
    assert!(said.contains("tidegate.toml:") && said.ends_with("(and 1 more)"), "{said}");

    // The shipped unit has a command wait, whose exit code is that of `systemctl reload`.
    let socket = proxy.path("control.socket");
    let reload = || proxy.reload(&["--socket", socket.to_str().unwrap()]);
    let (code, printed) = reload();
    assert_eq!(code, 3, "{printed}");
    assert!(told(&notify).starts_with("STATUS=reload refused, "));
    proxy.configure(&text);
    assert_eq!(reload().0, 0);
    assert_eq!(told(&notify), "STATUS=generation 3 is in force");
}

/// Three listeners, the admin listener and the operator's socket.
const LISTENING: usize = 5;

/// The pair by which tokio hears of signals.
const OWN: usize = 2;

/// A process's descriptors: sockets by inode, the others counted by what they are.
fn descriptors(pid: u32) -> (BTreeSet<String>, BTreeMap<String, usize>) {
    let (mut sockets, mut others) = (BTreeSet::new(), BTreeMap::new());
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        // One that was closed meanwhile is not there.
        let Ok(link) = std::fs::read_link(entry.unwrap().path()) else { continue };
        let name = link.to_str().unwrap().to_owned();
        match name.strip_prefix("socket:") {
            Some(inode) => drop(sockets.insert(inode.to_owned())),
            None => *others.entry(name).or_default() += 1,
        }
    }
    (sockets, others)
}

#[tokio::test]
async fn a_new_process_has_the_listening_sockets_and_nothing_else_of_the_old_one() {
    let backend = Backend::start();
    let proxy = Proxy::start(&configuration(&backend, "")).await;
    let idle = || descriptors(proxy.pid()).0.len() == LISTENING + OWN;
    proxy.wait("nobody to be connected", idle).await;
    let others = descriptors(proxy.pid()).1;
    // Connections, sessions and backends' sockets, which are none of the new one's.
    let mut crowd = Crowd::new();
    crowd.join(5, &proxy.plain, "/", KIND).await;
    let before = descriptors(proxy.pid()).0;
    assert!(before.len() >= LISTENING + OWN + 10);
    let new = upgraded(&proxy).await;
    let (sockets, new_others) = descriptors(new);
    let shared: Vec<_> = sockets.intersection(&before).collect();
    assert_eq!(shared.len(), LISTENING, "{shared:?} of {sockets:?}");
    assert_eq!(new_others, others, "besides sockets, as the first process had");
    let stdin = std::fs::read_link(format!("/proc/{new}/fd/0")).unwrap();
    assert_eq!(stdin.to_str(), Some("/dev/null"));
    let listens = || descriptors(new).0.len() == LISTENING + OWN + 1;
    proxy.wait("no more sockets than listeners and the link", listens).await;
    // What the old one has left is what its sessions need.
    let listens_no_more = || descriptors(proxy.pid()).0.is_disjoint(&sockets);
    proxy.wait("the old one to close its listening sockets", listens_no_more).await;
    let ends = crowd.finish().await;
    assert_eq!(ends, vec![Ended::Asked; 5]);
}
