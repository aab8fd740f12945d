//! Users with passwords.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ways::{Asker, both, everywhere};
use super::{denied, within};
use crate::actors::{Backend, Certificates, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// A file of users, in a directory of its own.
struct Users(tempfile::TempDir);

impl Users {
    fn new(users: &[(&str, &str)]) -> Users {
        let file = Users(tempfile::tempdir().unwrap());
        file.write(&users.iter().map(|(name, password)| line(name, password)).collect::<String>());
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(self.0.path().join("new"), text).unwrap();
        std::fs::rename(self.0.path().join("new"), self.path()).unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("users")
    }

    /// A rule of them, and a route that names it.
    fn guard(&self, site: Site, more: &str) -> Site {
        let rule = format!("[access.tools.basic]\nusers = \"{}\"\n{more}", self.path().display());
        site.table(&rule).route("access = \"tools\"")
    }
}

/// As cheap as bcrypt gets: what is tested is not how long it takes.
fn line(name: &str, password: &str) -> String {
    format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
}

fn shown(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

#[tokio::test]
async fn users_pass_with_their_passwords_however_they_come_and_nobody_else_does() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let users = Users::new(&[("ada", "secret"), ("bob", "p\u{e4}ss:word")]);
    let proxy =
        Proxy::start(&users.guard(both(site(&backends.each_ref()), &certificates), "")).await;
    let asker = Asker::new(&proxy, &certificates);
    let with = |value: &str| asker.field("Authorization", value);
    for (name, password) in [("ada", "secret"), ("bob", "p\u{e4}ss:word")] {
        assert_eq!(with(&shown(name, password)).statuses().await, everywhere(200, 101), "{name}");
    }
    let asked = backends.iter().flat_map(|backend| backend.heads()).collect::<Vec<_>>();
    assert_eq!(asked.len(), 16);
    for head in asked {
        assert_eq!(head.get("authorization"), "", "the password is for nobody behind the rule");
    }
    for wrong in [
        shown("ada", "Secret"),
        shown("ada", ""),
        shown("eve", "secret"),
        shown("bob", "secret"),
        "Basic ?".to_owned(),
        "Basic".to_owned(),
        "Bearer YWRhOnNlY3JldA==".to_owned(),
        format!("Basic {}", "A".repeat(20_000)),
    ] {
        assert_eq!(with(&wrong).statuses().await, everywhere(401, 401), "{wrong:.40}");
    }
    assert_eq!(asker.statuses().await, everywhere(401, 401));
    let (head, _) = asker.client(true).request("GET", "").await;
    assert_eq!(head.get("www-authenticate"), "Basic realm=\"tools\", charset=\"UTF-8\"");
    // Two fields: the backend might read the other.
    let two = with(&shown("ada", "secret")).field("Authorization", &shown("eve", "x"));
    assert_eq!(two.statuses().await, everywhere(401, 401));
    assert_eq!(backends.iter().map(|backend| backend.heads().len()).sum::<usize>(), 16);
    assert_eq!(denied(&proxy, "tools", "password"), 32);
    proxy.stop().await;
}

#[tokio::test]
async fn a_backend_sees_the_password_only_where_a_rule_says_so() {
    let backend = Backend::echo("a").await;
    let users = Users::new(&[("ada", "secret")]);
    let rest = "strip = false\nrealm = \"the tools\"";
    let proxy = Proxy::start(&users.guard(site(&[&backend]), rest)).await;
    let client = proxy.client().field("Authorization", &shown("ada", "secret"));
    assert_eq!(client.request("GET", "").await.0.status(), 200);
    assert_eq!(backend.head().get("authorization"), shown("ada", "secret"));
    let (head, _) = proxy.client().handshake().await;
    assert_eq!(head.get("www-authenticate"), "Basic realm=\"the tools\", charset=\"UTF-8\"");
    proxy.stop().await;
}

#[tokio::test]
async fn either_an_address_or_a_password_may_be_enough() {
    let backend = Backend::echo("a").await;
    let users = Users::new(&[("ada", "secret")]);
    let site = users.guard(site(&[&backend]), "\n[access.office]\nallow = \"127.0.0.5\"");
    let toml = site.toml().replace("\"tools\"", "{ any = [\"office\", \"tools\"] }");
    let proxy = Proxy::start_with(&toml);
    let client = proxy.client();
    let office = client.clone().from([127, 0, 0, 5].into());
    assert_eq!(office.request("GET", "").await.0.status(), 200);
    // Told is what helps, not what cannot be helped.
    assert_eq!(client.request("GET", "").await.0.status(), 401);
    assert_eq!(
        (denied(&proxy, "tools", "no_password"), denied(&proxy, "office", "address")),
        (1, 0)
    );
    // What another scheme shows is the backend's own.
    office.field("Authorization", "Bearer x").request("GET", "").await;
    let heads = backend.heads();
    assert_eq!(heads.last().unwrap().get("authorization"), "Bearer x");
    proxy.stop().await;
}

#[tokio::test]
async fn the_file_is_read_again_with_the_configuration_and_a_bad_one_changes_nothing() {
    let backend = Backend::echo("a").await;
    let users = Users::new(&[("ada", "secret")]);
    let site =
        users.guard(site(&[&backend]), "").table("[reload]\nwatch = true\ndebounce = \"10ms\"");
    let proxy = Proxy::start(&site).await;
    let status = async |name: &str, password: &str| {
        let client = proxy.client().field("Authorization", &shown(name, password));
        client.request("GET", "").await.0.status()
    };
    assert_eq!(status("ada", "secret").await, 200);
    users.write(&(line("ada", "other") + &line("bob", "new")));
    until("the new file", || proxy.generation() == 2).await;
    assert_eq!(status("ada", "secret").await, 401, "what was remembered is worth nothing now");
    assert_eq!((status("ada", "other").await, status("bob", "new").await), (200, 200));
    users.write("ada:secret\n");
    let refused = within("a reload", proxy.reload_files()).await.unwrap_err();
    assert!(refused.contains("line 1"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
    assert_eq!((status("ada", "other").await, status("bob", "new").await), (200, 200));
    proxy.stop().await;
}

#[tokio::test]
async fn passwords_that_are_checked_hold_up_no_session_and_one_client_cannot_take_all_turns() {
    let backend = Backend::echo("a").await;
    // Slow on purpose, a little.
    let users = Users::new(&[]);
    users.write(&format!("ada:{}\n", bcrypt::hash("secret", 9).unwrap()));
    let site = users.guard(site(&[&backend]), "");
    let open = "[[routes]]\npath = \"/open\"\npool = \"chat\"";
    let proxy = Proxy::start(&site.route(open)).await;
    let mut session = proxy.client().path("/open").open().await;
    let guess = |source: u8, guess: usize| {
        let client = proxy.client().from([127, 0, 0, source].into());
        let client = client.field("Authorization", &shown("ada", &guess.to_string()));
        async move { client.request("GET", "").await.0.status() }
    };
    let flood = tokio::task::JoinSet::from_iter((0..100).map(|number| guess(9, number)));
    until("a guess that is one too many", || denied(&proxy, "tools", "passwords_busy") > 0).await;
    session.echo("meanwhile").await;
    let honest = proxy.client().field("Authorization", &shown("ada", "secret"));
    assert_eq!(honest.request("GET", "").await.0.status(), 200, "another client has its turn");
    let guessed = denied(&proxy, "tools", "password");
    let statuses = within("all answers", flood.join_all()).await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(401) + count(503), 100);
    assert!(count(503) > 0 && guessed < count(401), "{guessed} of {} before it", count(401));
    // It is remembered: no place is needed for it.
    assert_eq!(honest.request("GET", "").await.0.status(), 200);
    drop(session);
    proxy.stop().await;
}
