//! What an operator sees of it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::*;

/// What the program prints, run in this directory.
async fn printed(dir: &Path, words: &'static [&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(words).current_dir(dir);
    command.env_remove("TIDEGATE_CONFIG").env_remove("TIDEGATE_CONTROL");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn status_and_metrics_show_every_source_and_the_age_of_its_answer() {
    let (server, dir) = (NameServer::start().await, tempfile::tempdir().unwrap());
    server.addresses("chat.test", ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()]);
    let socket = dir.path().join("control.sock");
    let control = format!("[control]\nsocket = {socket:?}\n");
    let site = asking(&server, "dns:chat.test:9", "").backend("file:none").table(&control);
    std::fs::write(dir.path().join("tidegate.toml"), site.toml()).unwrap();
    let proxy = Proxy::start_with(&site.toml());
    until_members(&proxy, 2).await;
    let (code, text) = printed(dir.path(), &["status"]).await;
    let line = |text: &str, of: &str| {
        let line = text.lines().find(|line| line.contains(of)).unwrap_or_else(|| panic!("{text}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(code, 0, "{text}");
    assert_eq!(line(&text, "SOURCE"), "POOL SOURCE MEMBERS MISSING ANSWERED LAST ERROR");
    let found = line(&text, "dns:chat.test:9");
    assert!(found.starts_with("chat dns:chat.test:9 2 0 0s ago -"), "{found}");
    let missing = line(&text, "/none");
    assert!(missing.contains(" 0 0 never the file cannot be read: No such file"), "{missing}");

    server.behave(Manner::Failing(2));
    let failed = async {
        loop {
            let (_, text) = printed(dir.path(), &["status", "--json"]).await;
            let status: Value = serde_json::from_str(&text).unwrap();
            let all = status["sources"].as_array().unwrap();
            let named = all.iter().find(|one| one["source"] == "dns:chat.test:9").unwrap();
            assert_eq!(named["members"], 2);
            match named["error"].as_str() {
                Some(error) if error.contains("Server Failure") => return,
                error => assert_eq!(error, None, "{named}"),
            }
        }
    };
    crate::actors::within("the error", failed).await;
    proxy.stop().await;
}

/// Two that become one are half of the members: what is seen must say what is waited for.
#[tokio::test]
async fn one_of_two_that_is_missing_is_shown_with_how_long_it_stays() {
    let (server, dir) = (NameServer::start().await, tempfile::tempdir().unwrap());
    let [one, other]: [IpAddr; 2] = ["127.0.0.1", "127.0.0.2"].map(|ip| ip.parse().unwrap());
    server.addresses("chat.test", [one, other]);
    let control = format!("[control]\nsocket = {:?}\n", dir.path().join("control.sock"));
    let times = "refresh_min = \"50ms\", gone_after = \"100ms\", empty_after = \"1h\"";
    let rules = format!("discovery = {{ {times}, resolver = \"{}\" }}", server.address());
    let site = site(&[]).backend("dns:chat.test:9").pool(&rules).table(&control);
    std::fs::write(dir.path().join("tidegate.toml"), site.toml()).unwrap();
    let proxy = Proxy::start_with(&site.toml());
    until_members(&proxy, 2).await;
    server.addresses("chat.test", [one]);
    let said = "the answer lacks 1 of 2, 50% (`gone_max`) or more; \
                they stay for 60m more (`empty_after`)";
    let shown = async { while !printed(dir.path(), &["status"]).await.1.contains(said) {} };
    crate::actors::within("what is waited for", shown).await;
    assert_eq!(members(&proxy), 2);
    proxy.stop().await;
}
