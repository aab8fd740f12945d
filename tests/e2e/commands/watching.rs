//! `tidegate top`: what passes, as it is printed once or line by line.

use std::time::Duration;

use serde_json::Value;

use super::*;

/// A proxy with two workers before two backends, and its directory.
async fn watched(backends: &[Backend; 2]) -> (Running, SocketAddr, TempDir) {
    let address = free();
    let [one, two] = backends.each_ref().map(Backend::address);
    let dir = dir_with(&format!(
        "workers = 2\n[listeners.http]\naddress = \"{address}\"\n\
         [control]\nsocket = \"control.sock\"\n[drain]\ndelay = \"0s\"\nwindow = \"0s\"\n\
         [pools.chat]\nbackends = [\"{one}\", \"{two}\"]\nbalance = \"round_robin\"\n\
         [[routes]]\npath = \"/busy\"\npool = \"chat\"\n\
         [[routes]]\npath = \"/idle\"\npool = \"chat\"\n"
    ));
    let running = Running::start(dir.path(), &["run"]);
    until("a proxy", || tidegate(dir.path(), &["status"]).0 == 0).await;
    (running, address, dir)
}

/// Opens three sessions that are idle and one that is busy; keeps it so while `asking` goes on.
async fn while_busy<T>(address: SocketAddr, asking: impl Future<Output = T>) -> T {
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut session = Client::to(address).path("/idle").open().await;
        session.echo("hello").await;
        idle.push(session);
    }
    let mut busy = Client::to(address).path("/busy").open().await;
    let echoing = async {
        loop {
            busy.echo("what passes, again and again").await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = echoing => unreachable!("it does not end"),
        told = asking => told,
    }
}

#[tokio::test]
async fn what_passes_is_printed_once_with_the_busiest_sessions_first() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (running, address, dir) = watched(&backends).await;
    let asking = async {
        let table = meanwhile(dir.path(), &["top", "--once"]).await;
        let json = meanwhile(dir.path(), &["top", "--once", "--json", "--sort", "messages"]).await;
        let idle = ["top", "--once", "--json", "--route", "/idle", "--limit", "2"];
        (table, json, meanwhile(dir.path(), &idle).await)
    };
    let (table, json, idle) = while_busy(address, asking).await;

    let (code, out, err) = table;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("sessions 4  held 0  connections 4  messages "), "{out}");
    assert!(out.contains("backends up 2 of 2\n"), "{out}");
    for backend in &backends {
        assert!(out.contains(&format!("\n{}  chat  up ", backend.address())), "{out}");
    }
    let sessions: Vec<&str> = out.lines().skip_while(|row| !row.starts_with("SESSION")).collect();
    assert_eq!(sessions.len(), 5, "{out}");
    assert!(sessions[1].contains("*/busy"), "{out}");
    assert!(sessions[2..].iter().all(|row| row.contains("*/idle")), "{out}");

    let (code, out, err) = json;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["sessions"], &told["workers"]), (&4.into(), &2.into()), "{out}");
    let rate = |row: &Value| (row["message_rate"].as_f64(), row["byte_rate"].as_f64());
    let routes = told["routes"].as_array().unwrap();
    let route = |name: &str| routes.iter().find(|route| route["route"] == name).unwrap();
    assert!(rate(route("*/busy")) > (Some(1.0), Some(1.0)), "{out}");
    assert_eq!(rate(route("*/idle")), (Some(0.0), Some(0.0)), "{out}");
    assert_eq!(route("*/idle")["client_messages"], 3, "{out}");
    assert_eq!(rate(&told), rate(route("*/busy")), "{out}");
    let busiest = told["busiest"].as_array().unwrap();
    assert_eq!((busiest.len(), &busiest[0]["route"]), (4, &"*/busy".into()), "{out}");
    assert!(rate(&busiest[0]) > (Some(1.0), Some(1.0)), "{out}");
    assert_eq!(
        (rate(&busiest[1]), &busiest[1]["client_messages"]),
        (rate(route("*/idle")), &1.into())
    );

    let (code, out, _) = idle;
    let told: Value = serde_json::from_str(&out).unwrap();
    let busiest = told["busiest"].as_array().unwrap();
    assert_eq!((code, busiest.len()), (0, 2), "{out}");
    assert!(busiest.iter().all(|session| session["route"] == "*/idle"), "{out}");
    running.signal(libc::SIGTERM);
    let (code, said) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn a_pipe_gets_a_line_each_time_until_its_reader_has_seen_enough() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (_running, _, dir) = watched(&backends).await;
    let mut top = Running::start(dir.path(), &["top"]);
    let mut lines = BufReader::new(top.0.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with("sessions 0  held 0 "), "{line}");
    }
    drop(lines);
    assert_eq!(top.end(), (Some(0), String::new()));
}

#[tokio::test]
async fn what_top_cannot_do_is_said() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (_running, _, dir) = watched(&backends).await;
    for (words, says) in [
        (&["--sort", "colour"][..], "[possible values: rate, messages, bytes]"),
        (&["--limit", "501"], "`limit` must be at most 500, not: 501"),
        (&["--interval", "0"], "1..=60"),
        (&["--label", "user"], "NAME=VALUE"),
    ] {
        let (code, out, err) = tidegate(dir.path(), &[&["top", "--once"], words].concat());
        assert_eq!((code, out.as_str(), err.contains(says)), (2, "", true), "{words:?}: {err}");
    }
    let (code, _, err) = tidegate(dir.path(), &["top", "--route", "/gone"]);
    assert_eq!((code, err.contains("/gone")), (4, true), "{err}");
    let elsewhere = tidegate(dir.path(), &["top", "--socket", "gone.sock"]);
    assert_eq!((elsewhere.0, elsewhere.2.contains("gone.sock")), (1, true), "{elsewhere:?}");
}
