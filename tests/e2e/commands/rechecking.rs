//! Live sessions, judged anew by the lists of addresses in force.

use serde_json::Value;

use super::*;

fn site(address: SocketAddr, backends: &[&Backend], deny: &str) -> String {
    let addresses: Vec<String> = backends.iter().map(|one| one.address().to_string()).collect();
    let route = "pool = \"chat\"\nallowed_origins = \"any\"\nhold = { resume = \"always\" }";
    format!(
        "workers = 2\n[listeners.http]\naddress = \"{address}\"\n\
         [control]\nsocket = \"control.sock\"\n[drain]\ndelay = \"0s\"\nwindow = \"0s\"\n\
         [reload]\ndrain_max = \"40%\"\n\
         [access.net]\nallow = \"127.0.0.0/8\"\n{deny}\n\
         [access.card.jwt]\nsecret = \"a secret that is long enough to be one\"\n\
         [pools.chat]\nbackends = {addresses:?}\n\
         [[routes]]\npath = \"/chat\"\n{route}\naccess = \"net\"\n\
         [[routes]]\npath = \"/any\"\n{route}\naccess = {{ any = [\"net\", \"card\"] }}\n"
    )
}

#[tokio::test]
async fn a_reload_that_rechecks_ends_whom_a_list_refuses_now_and_nobody_else() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let address = free();
    let with = |deny: &str| site(address, &backends.each_ref(), deny);
    let dir = dir_with(&with(""));
    let write = |text: String| std::fs::write(dir.path().join("tidegate.toml"), text).unwrap();
    let running = Running::start(dir.path(), &["run"]);
    until("a proxy", || tidegate(dir.path(), &["status"]).0 == 0).await;
    let open = async |path: &str, source: u8| {
        let client = Client::to(address).from([127, 0, 0, source].into()).path(path);
        let mut session = client.open().await;
        session.echo("here").await;
        session
    };
    let (mut gone, mut stay) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        gone.push(open("/chat", 6).await);
        stay.extend([open("/chat", 5).await, open("/any", 6).await]);
    }
    let reload = async |words: &[&str]| {
        let words = [&["reload", "--json"], words].concat();
        let (code, said, error) = meanwhile(dir.path(), &words).await;
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{error}"));
        (code, said["outcome"].clone(), said["sessions_revoked"].clone())
    };
    write(with("deny = \"127.0.0.6\""));
    let (none, four) = (Value::Null, Value::from(4));
    // As long as nothing else is asked, a rule that changes ends nobody.
    assert_eq!(reload(&[]).await, (0, "taken".into(), none));
    assert_eq!(reload(&["--recheck", "--dry-run"]).await, (0, "dry_run".into(), four.clone()));
    for session in gone.iter_mut().chain(&mut stay) {
        session.echo("it was only a question").await;
    }
    // A list with a slip does not empty the house.
    write(with("deny = [\"127.0.0.5\", \"127.0.0.6\"]"));
    let refused = (4, "refused_drain".into(), Value::from(8));
    assert_eq!(reload(&["--recheck"]).await, refused);
    write(with("deny = \"127.0.0.6\""));
    assert_eq!(reload(&["--recheck"]).await, (0, "taken".into(), four));
    for session in gone {
        assert_eq!(session.ending().await, Ending::Close(4403, "revoked".into()));
    }
    for session in &mut stay {
        session.echo("still here").await;
    }
    let (_, said, _) = meanwhile(dir.path(), &["reload", "--recheck"]).await;
    assert!(said.contains("sessions that may not pass any more: 0 of 8"), "{said}");
    drop(stay);
    running.signal(libc::SIGTERM);
    let (code, said) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
}
