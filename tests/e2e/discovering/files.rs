//! By `file:`: every line is a backend.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::actors::Ending;

/// A file of members, in a directory of its own.
struct MemberFile {
    dir: TempDir,
    path: PathBuf,
}

impl MemberFile {
    fn new(text: &str) -> MemberFile {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.backends");
        let file = MemberFile { dir, path };
        file.put(text);
        file
    }

    /// As it should be written: aside, then in its place.
    fn put(&self, text: &str) {
        let aside = self.dir.path().join("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, &self.path).unwrap();
    }

    fn site(&self) -> Site {
        finding(&format!("file:{}", self.path.display()), "")
    }
}

fn lines<'a>(backends: impl IntoIterator<Item = &'a Backend>) -> String {
    backends.into_iter().map(|backend| format!("{}\n", backend.address())).collect()
}

#[tokio::test]
async fn a_file_is_there_from_the_start_and_its_changes_come_into_force() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await, Backend::echo("c").await];
    let file = MemberFile::new(&lines(&backends[..2]));
    let proxy = Proxy::start(&file.site()).await;
    // It is no name server: the first client finds its backends.
    let mut first = proxy.client().open().await;
    first.echo("at once").await;
    let mut second = proxy.client().open().await;
    second.echo("to the other").await;
    file.put(&lines(&backends));
    until_members(&proxy, 3).await;
    let mut third = proxy.client().open().await;
    third.echo("to the new one").await;
    assert_eq!(backends.each_ref().map(|one| one.heads().len()), [1, 1, 1]);
    // The last one goes.
    file.put(&lines(&backends[..2]));
    let ending = third.ending().await;
    assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    first.echo("as before").await;
    second.echo("as before").await;
    drop((first, second));
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_no_list_of_backends_changes_nothing() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let file = MemberFile::new(&lines(&backends));
    let proxy = Proxy::start(&file.site()).await;
    let mut session = proxy.client().open().await;
    let state = |proxy: &Proxy| sample(proxy, "tidegate_discovery_members{");
    type Spoiling<'a> = &'a dyn Fn(&Path);
    let spoil: [(&str, Spoiling<'_>); 5] = [
        ("missing", &|path| fs::remove_file(path).unwrap()),
        ("a directory", &|path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("garbage", &|path| fs::write(path, [0xff; 300]).unwrap()),
        ("half a line", &|path| fs::write(path, "127.0.0.1:9001\n127.0.").unwrap()),
        ("too long", &|path| fs::write(path, vec![b'#'; 2 << 20]).unwrap()),
    ];
    for (what, spoil) in spoil {
        spoil(&file.path);
        // Longer than all the times after which a change would be believed.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!((members(&proxy), state(&proxy)), (2, Some(2)), "{what}");
        session.echo(what).await;
        if file.path.is_dir() {
            fs::remove_dir(&file.path).unwrap();
        }
        file.put(&lines(&backends));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // It heals by itself.
    file.put(&lines(&backends[..1]));
    until_members(&proxy, 1).await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_start_without_the_file_serves_when_it_is_there() {
    let backend = Backend::echo("a").await;
    let file = MemberFile::new("");
    fs::remove_file(&file.path).unwrap();
    let proxy = Proxy::start(&file.site()).await;
    assert_eq!(proxy.client().handshake().await.0.status(), 503);
    file.put(&lines([&backend]));
    until_members(&proxy, 1).await;
    proxy.client().open().await.echo("there").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_backend_that_the_configuration_has_already_is_no_second_one() {
    let backend = Backend::echo("a").await;
    let file = MemberFile::new(&lines([&backend, &backend]));
    let proxy = Proxy::start(&file.site().backend(backend.address())).await;
    assert_eq!(members(&proxy), 1);
    proxy.client().open().await.echo("one").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_backend_of_two_sources_has_work_while_either_has_it() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (one, other) =
        (MemberFile::new(&lines(&backends)), MemberFile::new(&lines(&backends[1..])));
    let rules = "discovery = { refresh_min = \"50ms\", gone_after = \"1h\" }";
    let source = |file: &MemberFile| format!("file:{}", file.path.display());
    let site = site(&[]).backend(source(&one)).backend(source(&other)).pool(rules);
    let proxy = Proxy::start(&site).await;
    one.put(&lines(&backends[..1]));
    let missing =
        format!("tidegate_discovery_missing{{pool=\"chat\",source=\"{}\"}}", source(&one));
    until("one that is missing", || sample(&proxy, &missing) == Some(1)).await;
    // By then it is missing in several answers.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let mut session = proxy.client().open().await;
        session.echo("here").await;
        sessions.push(session);
    }
    assert_eq!(backends.each_ref().map(|one| one.heads().len()), [2, 2]);
    drop(sessions);
    proxy.stop().await;
}

#[tokio::test]
async fn members_that_change_again_and_again_leave_nothing_behind() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await, Backend::echo("c").await];
    let file = MemberFile::new(&lines(&backends));
    let proxy = Proxy::start(&file.site()).await;
    let mut session = proxy.client().open().await;
    for round in 0..3 {
        file.put(&lines(&backends[..2]));
        until_members(&proxy, 2).await;
        file.put(&lines(&backends));
        until_members(&proxy, 3).await;
        if round == 0 && proxy.sessions() == 0 {
            session = proxy.client().open().await;
        }
    }
    let snapshots = || sample(&proxy, "tidegate_snapshots_alive ");
    until("one snapshot", || snapshots().is_some_and(|alive| alive <= 2)).await;
    drop(session);
    proxy.stop().await;
}
