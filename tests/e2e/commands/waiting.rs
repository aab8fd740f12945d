//! A drain that is waited for, is not waited for any longer, and is cancelled.

use super::*;

/// A proxy before one backend, with so many sessions.
async fn crowd(backend: &Backend, sessions: usize) -> (TempDir, Running, Vec<Session>) {
    let address = free();
    let dir = dir_with(&format!(
        "workers = 2\n[listeners.http]\naddress = \"{address}\"\n\
         [control]\nsocket = \"control.sock\"\n\
         [drain]\ndelay = \"0s\"\nwindow = \"0s\"\n[pools.chat]\nbackends = [\"{}\"]\n\
         [[routes]]\npath = \"/\"\npool = \"chat\"\n",
        backend.address()
    ));
    let running = Running::start(dir.path(), &["run"]);
    until("a proxy", || tidegate(dir.path(), &["status"]).0 == 0).await;
    let mut crowd = Vec::new();
    for _ in 0..sessions {
        let mut session = Client::to(address).path("/").open().await;
        session.echo("hello").await;
        crowd.push(session);
    }
    (dir, running, crowd)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_drain_that_is_cancelled_ends_no_more_sessions() {
    let backend = Backend::echo("a").await;
    let (dir, running, sessions) = crowd(&backend, 20).await;
    let (code, out, _) = tidegate(dir.path(), &["drain", "--all", "--window", "1d", "--json"]);
    let begun = json(&out);
    assert_eq!((code, begun["sessions"].as_u64()), (0, Some(20)), "{out}");
    let number = begun["drain"].to_string();
    let cancel = ["drain", "--cancel", &number];
    let (code, out, _) = tidegate(dir.path(), &[&cancel[..], &["--json"]].concat());
    let cancelled = json(&out);
    assert_eq!((code, &cancelled["outcome"]), (0, &"cancelled".into()), "{out}");
    // Of a day's window, the first may have been due already.
    let stay = cancelled["sessions"].as_u64().unwrap();
    assert!(stay >= 19, "{out}");
    let mut alive = Vec::new();
    for mut session in sessions {
        session.send("still here").await;
        if session.next().await.is_ok() {
            alive.push(session);
        }
    }
    assert_eq!(alive.len() as u64, stay);
    let finished = || {
        let status = json(&tidegate(dir.path(), &["status", "--json"]).1);
        status["drains_finished"].as_array().unwrap().first().cloned()
    };
    until("the drain's end", || finished().is_some()).await;
    let row = finished().unwrap();
    assert_eq!((row["withdrawn"].as_u64(), row["left"].as_u64()), (Some(stay), Some(0)), "{row}");
    let (code, _, err) = tidegate(dir.path(), &cancel);
    assert_eq!((code, err.contains("no drain 1 is under way")), (4, true), "{err}");
    assert_eq!(tidegate(dir.path(), &["drain", "--cancel", "1", "--all"]).0, 2);

    // They can be drained again, and all is told of what came of it.
    let endings: Vec<_> = alive.into_iter().map(|session| tokio::spawn(session.ending())).collect();
    let (code, out, err) = meanwhile(dir.path(), &["drain", "--all", "--wait", "--json"]).await;
    let told = &json(&out)["finished"];
    assert_eq!((code, told["ended"].as_u64()), (0, Some(stay)), "{out}{err}");
    assert_eq!((&told["left"], &told["told"]), (&0.into(), &stay.into()), "{out}");
    for ending in endings {
        assert!(matches!(ending.await.unwrap(), Ending::Close(1012, _)));
    }
    running.signal(libc::SIGTERM);
    assert_eq!(tokio::task::spawn_blocking(move || running.end()).await.unwrap().0, Some(0));
}

#[tokio::test]
async fn who_waits_no_longer_is_told_that_the_drain_goes_on() {
    let backend = Backend::echo("a").await;
    let (dir, running, mut sessions) = crowd(&backend, 3).await;
    let mut waiting = Running::start(dir.path(), &["drain", "--all", "--window", "1d", "--wait"]);
    let mut lines = BufReader::new(waiting.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("drain: 1 ")), "it says what it began");
    waiting.signal(libc::SIGINT);
    let (code, said) = waiting.end();
    assert_eq!((code, said.contains("drain 1 goes on")), (Some(130), true), "{said}");
    let (_, out, _) = tidegate(dir.path(), &["status"]);
    assert!(out.lines().any(|line| line.starts_with("1 ") && line.contains("0 of 3")), "{out}");
    assert_eq!(tidegate(dir.path(), &["drain", "--cancel", "1"]).0, 0);
    sessions.last_mut().unwrap().echo("still here").await;
    drop(sessions);
    running.signal(libc::SIGTERM);
    assert_eq!(tokio::task::spawn_blocking(move || running.end()).await.unwrap().0, Some(0));
}
