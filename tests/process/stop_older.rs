//! A stop while older processes still have sessions.

use std::time::Duration;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic::{self, Ended};
use crate::upgrade::upgraded;

/// Sessions of each process.
const SESSIONS: usize = 5;

/// The newest process accepts for so long yet.
const DELAY: Duration = Duration::from_secs(2);

fn configuration(backend: &Backend) -> String {
    let (address, delay) = (&backend.address, DELAY.as_secs());
    format!(
        "pools.one.backends = [\"{address}\"]\nroutes = [{{ path = \"/\", pool = \"one\" }}]\n\
         [drain]\ndelay = \"{delay}s\"\nwindow = \"500ms\"\ntimeout = \"20s\"\n"
    )
}

fn signal(pid: u32) {
    // SAFETY: a process this test's own has started, which lives: it has sessions.
    assert_eq!(unsafe { libc::kill(pid as libc::pid_t, libc::SIGTERM) }, 0);
}

/// A client that is closed, and at once comes back as often as it can; how each time has ended.
fn client(to: &str, mut socket: traffic::Socket) -> tokio::task::JoinHandle<Vec<Ended>> {
    let to = to.to_owned();
    tokio::spawn(async move {
        let mut ends = Vec::new();
        loop {
            let ended = loop {
                match traffic::read(&mut socket).await {
                    Ok(_) => {}
                    Err(ended) => break ended,
                }
            };
            ends.push(ended);
            match traffic::open(&to, "/").await {
                Ok(again) => socket = again,
                Err(_) => return ends,
            }
        }
    })
}

#[tokio::test]
async fn clients_of_an_older_process_come_back_when_nothing_accepts_any_more() {
    // As an operator has it, and as a service manager that signals every process of its group.
    let mut faults = Vec::new();
    for order in [&[1][..], &[0, 1], &[1, 0]] {
        let backend = Backend::start();
        let proxy = Proxy::start(&configuration(&backend)).await;
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            sessions.push(traffic::open(&proxy.plain, "/").await.unwrap());
        }
        let processes = [proxy.pid(), upgraded(&proxy).await];
        for _ in 0..SESSIONS {
            sessions.push(traffic::open(&proxy.plain, "/").await.unwrap());
        }
        let clients: Vec<_> =
            sessions.into_iter().map(|socket| client(&proxy.plain, socket)).collect();
        order.iter().for_each(|process| signal(processes[*process]));
        for client in clients {
            let ends = client.await.unwrap();
            if ends != [Ended::Close(1012)] {
                faults.push(format!("{order:?}: {ends:?}"));
            }
        }
        assert!(proxy.exit().await.success(), "{order:?}");
    }
    assert_eq!(faults, Vec::<String>::new());
}
