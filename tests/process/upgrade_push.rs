//! Messages to clients while some of them live in older processes: the newest asks those too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tungstenite::Message;

use crate::actors::free;
use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::scaled;
use crate::traffic::{self, Ended};
use crate::upgrade::upgraded;

/// A route whose clients are pushed to, and one for callers: on a port of its own.
fn configuration(backend: &Backend, api: &str) -> String {
    format!(
        r#"
listeners.internal.address = "{api}"
[pools.one]
backends = ["{}"]
[[routes]]
name = "all"
path = "/"
pool = "one"
listener = "plain"
labels = {{ user = "{{query.user}}" }}
push = {{ message_bytes_max = "1MiB", queue_bytes_max = "4MiB" }}
[[routes]]
listener = "internal"
api = {{ routes = "all" }}
[upgrade]
sessions = "keep"
"#,
        backend.address
    )
}

/// Asks the API on a connection of its own.
async fn ask(api: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (api, path, body) = (api.to_owned(), path.to_owned(), body.to_owned());
    let method = method.to_owned();
    let asking = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(api).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: \
             close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{head}\n{body}")))
    });
    asking.await.unwrap()
}

/// A client that reads, and so answers pings, until it has the text `end`; what it read.
async fn reader(proxy: &Proxy, user: &str) -> JoinHandle<Vec<String>> {
    let mut socket = traffic::open(&proxy.plain, &format!("/?user={user}")).await.unwrap();
    socket.send(Message::text("here")).await.unwrap();
    // A push may come before the echo.
    let mut got = Vec::new();
    loop {
        match traffic::read(&mut socket).await.unwrap() {
            text if text == b"here" => break,
            text => got.push(String::from_utf8(text).unwrap()),
        }
    }
    tokio::spawn(async move {
        loop {
            match traffic::read(&mut socket).await {
                Ok(text) if text == b"end" => return got,
                Ok(text) => got.push(String::from_utf8(text).unwrap()),
                Err(Ended::Close(code)) => return vec![format!("closed with {code}")],
                Err(end) => panic!("{end:?} after {got:?}"),
            }
        }
    })
}

#[tokio::test]
async fn sessions_of_older_processes_are_pushed_to_listed_labelled_and_ended() {
    let (backend, api) = (Backend::start(), free().to_string());
    let proxy = Proxy::start(&configuration(&backend, &api)).await;
    let oldest = reader(&proxy, "ada").await;
    upgraded(&proxy).await;
    let older = reader(&proxy, "ada").await;
    upgraded(&proxy).await;
    let newest = [reader(&proxy, "ada").await, reader(&proxy, "bob").await];
    let three = json!({ "asked": 3, "answered": 3, "missing": [] });
    for number in 0..20 {
        let text = format!("push {number}");
        let (status, report) = ask(&api, "POST", "/v1/push?label=user:ada", &text).await;
        assert_eq!((status, &report["queued"]), (200, &json!(3)), "{report}");
        assert_eq!(report["instances"], three);
    }
    let read = "/v1/push?label=user:ada&wait=read";
    let (_, report) = ask(&api, "POST", read, "did you all read this?").await;
    assert_eq!((&report["written"], &report["read"]), (&json!(3), &json!(3)), "{report}");
    // Longer than a piece of a question.
    let long = "é".repeat(200_000);
    let (_, report) = ask(&api, "POST", read, &long).await;
    assert_eq!(report["read"], 3, "{report}");
    let (_, count) = ask(&api, "GET", "/v1/count?label=user:ada", "").await;
    assert_eq!((&count["matched"], &count["instances"]), (&json!(3), &three));

    let (_, listed) = ask(&api, "GET", "/v1/sessions?limit=3", "").await;
    let rows = listed["sessions"].as_array().unwrap();
    assert_eq!((&listed["matched"], rows.len()), (&json!(4), 3), "{listed}");
    // The oldest is the first.
    let id = rows[0]["id"].as_str().unwrap();
    let path = format!("/v1/sessions/{id}");
    let (status, one) = ask(&api, "GET", &path, "").await;
    assert_eq!((status, &one["labels"]), (200, &json!({ "user": "ada" })), "{one}");
    let patch = json!({ "labels": { "seat": "7" } }).to_string();
    let (status, one) = ask(&api, "PATCH", &path, &patch).await;
    assert_eq!((status, &one["labels"]["seat"]), (200, &json!("7")), "{one}");
    let wrong = json!({ "labels": { "a b": "7" } }).to_string();
    assert_eq!(ask(&api, "PATCH", &path, &wrong).await.0, 400);
    let (_, report) = ask(&api, "POST", "/v1/push?label=seat:7", "you alone").await;
    assert_eq!(report["queued"], 1, "{report}");
    let (_, report) = ask(&api, "POST", &format!("/v1/push?session={id}"), "by id").await;
    assert_eq!(report["queued"], 1, "{report}");
    // None of these lives anywhere.
    let ended = format!("/v1/sessions/{}", id.replace("-0", "-f"));
    assert_eq!(ask(&api, "GET", &ended, "").await.0, 410);
    assert_eq!(ask(&api, "GET", "/v1/sessions/0-0", "").await.0, 400);

    ask(&api, "POST", "/v1/push?label=user:ada", "end").await;
    let mut all: Vec<String> = (0..20).map(|number| format!("push {number}")).collect();
    all.extend(["did you all read this?".to_owned(), long]);
    let [newest, bob] = newest;
    for ada in [older, newest] {
        assert_eq!(ada.await.unwrap(), all);
    }
    all.extend(["you alone".to_owned(), "by id".to_owned()]);
    assert_eq!(oldest.await.unwrap(), all);
    let (_, kicked) = ask(&api, "DELETE", "/v1/sessions?label=user:bob&code=4403", "").await;
    assert_eq!(kicked["kicked"], 1, "{kicked}");
    assert_eq!(bob.await.unwrap(), ["closed with 4403"]);
}

#[tokio::test]
async fn a_session_of_an_older_process_is_known_by_its_token_and_ends_when_a_caller_says() {
    let (backend, api) = (Backend::start(), free().to_string());
    let text = configuration(&backend, &api);
    let text = text.replace("labels = { ", "labels = { token = \"{session}\", ");
    let proxy = Proxy::start(&text).await;
    let ada = reader(&proxy, "ada").await;
    let (_, listed) = ask(&api, "GET", "/v1/sessions?label=user:ada", "").await;
    let row = listed["sessions"][0].clone();
    let token = row["labels"]["token"].as_str().unwrap().to_owned();
    upgraded(&proxy).await;
    let path = format!("/v1/sessions/{token}");
    let (status, one) = ask(&api, "GET", &path, "").await;
    assert_eq!((status, &one["id"]), (200, &row["id"]), "{one}");
    let by_token = format!("/v1/push?session={token}&wait=read");
    let (status, report) = ask(&api, "POST", &by_token, "by token").await;
    assert_eq!((status, &report["read"]), (200, &json!(1)), "{report}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let far = now.as_secs() + 1_000;
    for path in [&path, &format!("/v1/sessions/{}", row["id"].as_str().unwrap())] {
        for (end, status) in [(json!(far), 200), (json!("soon"), 400), (json!(-1), 400)] {
            let patch = json!({ "expires": end }).to_string();
            let (told, answer) = ask(&api, "PATCH", path, &patch).await;
            assert_eq!(told, status, "{answer}");
            assert!(status != 200 || answer["expires"] == far, "{answer}");
        }
    }
    assert!(!ada.is_finished());
    let (status, _) = ask(&api, "PATCH", &path, "{\"expires\":0}").await;
    assert_eq!(status, 200);
    assert_eq!(ada.await.unwrap(), ["closed with 4403"]);
    // Its client has read the Close before it counts as ended.
    let mut status = 200;
    for _ in 0..500 {
        status = ask(&api, "GET", &path, "").await.0;
        if status == 410 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status, 410);
}

#[tokio::test]
async fn sessions_of_an_older_process_are_ended_by_id_and_by_label() {
    let (backend, api) = (Backend::start(), free().to_string());
    let proxy = Proxy::start(&configuration(&backend, &api)).await;
    let kicked = [reader(&proxy, "ada").await, reader(&proxy, "bob").await];
    upgraded(&proxy).await;
    let (_, listed) = ask(&api, "GET", "/v1/sessions?label=user:ada", "").await;
    let id = listed["sessions"][0]["id"].as_str().unwrap();
    let (status, told) = ask(&api, "DELETE", &format!("/v1/sessions/{id}?code=4001"), "").await;
    assert_eq!((status, &told["kicked"]), (200, &json!(1)), "{told}");
    let (_, told) = ask(&api, "DELETE", "/v1/sessions?label=user:bob&code=4002", "").await;
    assert_eq!(told["kicked"], 1, "{told}");
    let [ada, bob] = kicked;
    assert_eq!(ada.await.unwrap(), ["closed with 4001"]);
    assert_eq!(bob.await.unwrap(), ["closed with 4002"]);
}

#[tokio::test]
async fn an_older_process_that_hangs_costs_one_caller_its_time_and_is_said() {
    let (backend, api) = (Backend::start(), free().to_string());
    let proxy = Proxy::start(&configuration(&backend, &api)).await;
    let older = reader(&proxy, "ada").await;
    let (_, listed) = ask(&api, "GET", "/v1/sessions", "").await;
    let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
    upgraded(&proxy).await;
    let newer = reader(&proxy, "ada").await;
    let told = || proxy.metric("tidegate_older_sessions_live") == 1.0;
    proxy.wait("its count", told).await;
    proxy.signal(libc::SIGSTOP);
    let begun = Instant::now();
    let (status, report) = ask(&api, "POST", "/v1/push?label=user:ada", "one").await;
    let first = begun.elapsed();
    assert_eq!((status, &report["queued"]), (200, &json!(1)), "{report}");
    let missing = &report["instances"]["missing"][0];
    assert_eq!((&missing["pid"], &missing["sessions"]), (&json!(proxy.pid()), &json!(1)));
    assert!(missing["why"].as_str().unwrap().contains("no answer"), "{report}");
    let begun = Instant::now();
    for _ in 0..20 {
        let (_, report) = ask(&api, "POST", "/v1/push?label=user:ada", "more").await;
        assert_eq!(report["instances"]["answered"], 1, "{report}");
    }
    // Together they take less than the first, of which one waited in vain.
    assert!(begun.elapsed() < first, "{:?}, the first {first:?}", begun.elapsed());
    // It may well live there.
    assert_eq!(ask(&api, "GET", &format!("/v1/sessions/{id}"), "").await.0, 503);
    proxy.signal(libc::SIGCONT);
    let mut answered = 0;
    for _ in 0..400 {
        let (_, report) = ask(&api, "POST", "/v1/push?label=user:ada", "again").await;
        answered = report["instances"]["answered"].as_u64().unwrap();
        if answered == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(answered, 2);
    ask(&api, "POST", "/v1/push?label=user:ada", "end").await;
    // What was asked of it while it hung was done when it woke.
    assert_eq!(older.await.unwrap(), ["one", "again"]);
    assert_eq!(newer.await.unwrap().iter().filter(|text| *text == "more").count(), 20);
}

#[tokio::test]
async fn a_connection_of_a_replaced_process_pushes_to_no_part_of_the_sessions() {
    let (backend, api) = (Backend::start(), free().to_string());
    let proxy = Proxy::start(&configuration(&backend, &api)).await;
    let mut kept = TcpStream::connect(&api).await.unwrap();
    let request = b"POST /v1/push?all=true HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nend";
    kept.write_all(request).await.unwrap();
    let mut answer = [0; 4096];
    let read = kept.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    let older = reader(&proxy, "ada").await;
    upgraded(&proxy).await;
    let newer = reader(&proxy, "ada").await;
    // It is closed, or told that it is to connect anew.
    let _ = kept.write_all(request).await;
    let mut answer = String::new();
    let _ = kept.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(!older.is_finished() && !newer.is_finished());
    ask(&api, "POST", "/v1/push?all=true", "end").await;
    assert!(older.await.unwrap().is_empty() && newer.await.unwrap().is_empty());
}

/// How often a caller pushes at least, however busy the machine is.
const PUSHES_MIN: usize = 50;

/// Pushes numbers to `ada`, one after another, until told to stop and it was often enough; by
/// number how many sessions each was queued for. Of one whose answer another process has heard that
/// took over meanwhile, as it may on a busy machine, its caller is told so, and it is left out.
async fn caller(api: String, name: usize, stop: Arc<AtomicBool>) -> BTreeMap<usize, u64> {
    let mut queued = BTreeMap::new();
    for number in 0.. {
        if stop.load(Relaxed) && number > PUSHES_MIN {
            break;
        }
        let text = format!("{name} {number}");
        loop {
            match ask(&api, "POST", "/v1/push?label=user:ada", &text).await {
                (200, report) => {
                    let missing = report["instances"]["missing"].as_array().unwrap();
                    for one in missing {
                        assert!(one["why"].as_str().unwrap().contains("takes over"), "{report}");
                    }
                    if missing.is_empty() {
                        queued.insert(number, report["queued"].as_u64().unwrap());
                    }
                    break;
                }
                // The process that took this connection was replaced: refused whole.
                (503, _) => {}
                (status, report) => panic!("{status}: {report}"),
            }
        }
    }
    queued
}

#[tokio::test]
async fn pushes_come_once_and_in_order_while_one_process_after_another_takes_over() {
    let (backend, api) = (Backend::start(), free().to_string());
    let proxy = Proxy::start(&configuration(&backend, &api)).await;
    let mut readers = vec![reader(&proxy, "ada").await, reader(&proxy, "ada").await];
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> =
        (0..2).map(|name| tokio::spawn(caller(api.clone(), name, Arc::clone(&stop)))).collect();
    for number in 0..scaled(4, 10) {
        upgraded(&proxy).await;
        // Two of the older processes keep a session; the others have none, and end.
        if number < 2 {
            readers.push(reader(&proxy, "ada").await);
        }
    }
    stop.store(true, Relaxed);
    let mut queued = Vec::new();
    for caller in callers {
        queued.push(caller.await.unwrap());
    }
    ask(&api, "POST", "/v1/push?label=user:ada", "end").await;
    let mut came: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for (at, reader) in readers.into_iter().enumerate() {
        let got = reader.await.unwrap();
        let got: Vec<(usize, usize)> = got
            .iter()
            .map(|text| text.split_once(' ').unwrap_or_else(|| panic!("{text}")))
            .map(|(name, number)| (name.parse().unwrap(), number.parse().unwrap()))
            .collect();
        for (name, all) in queued.iter().enumerate() {
            let own: Vec<usize> = got
                .iter()
                .filter(|(caller, number)| *caller == name && all.contains_key(number))
                .map(|(_, number)| *number)
                .collect();
            // From where it opened on, each once and in order.
            let expected: Vec<usize> = all.range(own[0]..).map(|(number, _)| *number).collect();
            assert_eq!(own, expected, "reader {at}, caller {name}");
        }
        got.into_iter().for_each(|one| *came.entry(one).or_default() += 1);
    }
    for (name, all) in queued.iter().enumerate() {
        for (number, queued) in all {
            assert_eq!(came[&(name, *number)], *queued, "push {number} of caller {name}");
        }
    }
}
