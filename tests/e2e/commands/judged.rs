//! A running proxy judges a configuration that it does not run.

use super::*;

fn site(address: SocketAddr, backend: SocketAddr, more: &str) -> String {
    format!(
        "workers = 2\n[listeners.http]\naddress = \"{address}\"\n\
         [control]\nsocket = \"control.sock\"\n[reload]\ndrain_max = \"100%\"\n\
         [pools.chat]\nbackends = [\"{backend}\"]\n\
         [[routes]]\npath = \"/chat\"\npool = \"chat\"\n\
         allowed_origins = \"same\"\n{more}"
    )
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn another_file_is_judged_and_only_the_running_one_is_taken() {
    let backend = Backend::echo("a").await;
    let address = free();
    let old = "[[routes]]\npath = \"/old\"\npool = \"chat\"\nallowed_origins = \"same\"\n";
    let dir = dir_with(&site(address, backend.address(), old));
    let running = Running::start(dir.path(), &["run", "-c", "tidegate.toml"]);
    until("a proxy", || tidegate(dir.path(), &["status"]).0 == 0).await;
    let mut session = Client::to(address).path("/old").open().await;
    session.echo("hello").await;
    let write = |text: &str| std::fs::write(dir.path().join("new.toml"), text).unwrap();
    let new = dir.path().join("new.toml").display().to_string();
    let reload = |words: &[&str]| {
        let socket = ["reload", "--socket", "control.sock"];
        tidegate(dir.path(), &[&socket, words].concat())
    };

    write(&site(address, backend.address(), ""));
    let (code, out, err) = reload(&["-c", "new.toml", "--dry-run"]);
    assert_eq!(code, 0, "{out}{err}");
    let expected = format!(
        "would be taken; in force is generation 1\nconfiguration: {new}\n\
         routes: 1 removed, 1 kept\n  removed  */old\npools: 1 kept\nbackends: 1 kept\n\
         listeners: 1 kept\nsessions drained: 1 of 1\n  \
         route removed: route `*/old` on chat/{}: 1 drained\n",
        backend.address()
    );
    assert_eq!(out, expected);
    let (_, out, _) = reload(&["--dry-run", "--json"]);
    assert_eq!(json(&out)["changes"]["routes"]["kept"], 2, "its own: {out}");

    // All findings, as `check` has them.
    write(&site(address, backend.address(), "colour = 1\nweight = 2\n"));
    let (code, out, err) = reload(&["-c", "new.toml", "--dry-run", "--json"]);
    assert_eq!((code, err.as_str()), (3, ""), "{out}");
    let (_, checked, _) = tidegate(dir.path(), &["check", "new.toml", "--json"]);
    let (told, checked) = (json(&out), json(&checked));
    assert_eq!(told["outcome"], "refused_config");
    for key in ["errors", "warnings", "findings"] {
        assert_eq!(told[key], checked[key], "{key}");
    }
    assert_eq!((&told["errors"], &told["findings"][0]["place"]["line"]), (&2.into(), &14.into()));

    // Without its socket nobody can be asked; the answer is the same.
    let words = ["reload", "-c", "new.toml", "--dry-run", "--json"];
    let (code, out, _) = tidegate(dir.path(), &words);
    assert_eq!((code, &json(&out)), (3, &told));

    // A reload takes the process's own file, by whatever name, and no other.
    let (code, out, err) = reload(&["-c", "new.toml"]);
    assert_eq!((code, out.as_str()), (4, ""), "{err}");
    assert!(err.contains("takes its configuration from") && err.contains("--dry-run"), "{err}");
    std::os::unix::fs::symlink("tidegate.toml", dir.path().join("link.toml")).unwrap();
    let (code, out, err) = reload(&["-c", "link.toml"]);
    assert_eq!((code, out.contains("generation 2 is in force")), (0, true), "{out}{err}");
    let (code, _, err) = reload(&["-c", "missing.toml", "--dry-run"]);
    assert_eq!((code, err.contains("the running process reads it")), (3, true), "{err}");
    session.echo("untouched").await;
    drop(session);
    running.signal(libc::SIGTERM);
    let (code, said) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
}
