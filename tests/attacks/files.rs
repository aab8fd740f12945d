//! What must not be had from a directory, and parts of files that are asked for oddly.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tokio::io::AsyncWriteExt;

use crate::actors::{Head, within};
use crate::case::{Table, body, request, serves_as_before};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for name in ["root/.git", "root/.well-known", "root/sub"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    for (name, text) in [
        ("digits.txt", "0123456789"),
        ("empty.txt", ""),
        ("module.mjs", "1"),
        (".env", "secret"),
        (".git/config", "secret"),
        (".well-known/acme", "token"),
        ("sub/.htpasswd", "secret"),
        ("../secret", "secret"),
    ] {
        fs::write(root.join(name), text).unwrap();
    }
    symlink("../secret", root.join("out")).unwrap();
    symlink(dir.path(), root.join("up")).unwrap();
    symlink("/etc", root.join("etc")).unwrap();
    symlink("digits.txt", root.join("in")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo"), mode).unwrap();
    dir
}

/// What is asked, by which fields, and what comes: the status, what part, and the body.
const ASKED: &[(&str, &str, &str, &[&str], &str)] = &[
    ("a file", "9110 §9.3.1", "GET /digits.txt", &[], "200  0123456789"),
    ("HEAD", "9110 §9.3.2", "HEAD /digits.txt", &[], "200  "),
    ("what is well known", "8615 §3", "GET /.well-known/acme", &[], "200  token"),
    ("a link inside", "–", "GET /in", &[], "200  0123456789"),
    ("a hidden file", "–", "GET /.env", &[], "404  "),
    ("a hidden file, escaped", "–", "GET /%2eenv", &[], "404  "),
    ("a hidden file below", "–", "GET /sub/.htpasswd", &[], "404  "),
    ("a hidden directory", "–", "GET /.git/config", &[], "404  "),
    ("a hidden directory, by parameters", "–", "GET /.git;x/config", &[], "404  "),
    ("a hidden directory, by an escaped slash", "–", "GET /.git%2Fconfig", &[], "404  "),
    ("a hidden directory, by dot segments", "–", "GET /sub/../.git/config", &[], "404  "),
    ("a link to a file outside", "–", "GET /out", &[], "404  "),
    ("a link to a directory above", "–", "GET /up/secret", &[], "404  "),
    ("a link to another root", "–", "GET /etc/passwd", &[], "404  "),
    ("a FIFO", "–", "GET /fifo", &[], "404  "),
    ("a range", "9110 §14.2", "GET /digits.txt", &["Range: bytes=2-4"], "206 bytes 2-4/10 234"),
    (
        "a unit in capitals",
        "9110 §14.1",
        "GET /digits.txt",
        &["Range: BYTES=9-"],
        "206 bytes 9-9/10 9",
    ),
    (
        "more than there is",
        "9110 §14.1.2",
        "GET /digits.txt",
        &["Range: bytes=-100"],
        "206 bytes 0-9/10 0123456789",
    ),
    ("another unit", "9110 §14.2", "GET /digits.txt", &["Range: items=0-3"], "200  0123456789"),
    (
        "a range the wrong way round",
        "9110 §14.1.1",
        "GET /digits.txt",
        &["Range: bytes=4-2"],
        "200  0123456789",
    ),
    ("HEAD with a range", "9110 §14.2", "HEAD /digits.txt", &["Range: bytes=2-4"], "200  "),
    (
        "behind the end",
        "9110 §15.5.17",
        "GET /digits.txt",
        &["Range: bytes=10-"],
        "416 bytes */10 ",
    ),
    ("of an empty file", "9110 §15.5.17", "GET /empty.txt", &["Range: bytes=0-"], "416 bytes */0 "),
    (
        "of another version",
        "9110 §13.1.5",
        "GET /digits.txt",
        &["Range: bytes=2-4", "If-Range: \"x\""],
        "200  0123456789",
    ),
    (
        "of another day",
        "9110 §13.1.5",
        "GET /digits.txt",
        &["Range: bytes=2-4", "If-Range: Sun, 06 Nov 1994 08:49:37 GMT"],
        "200  0123456789",
    ),
];

#[tokio::test]
async fn a_directory_shows_its_files_and_nothing_else() {
    let witness = Witness::start().await;
    let dir = directory();
    let files = |path: &Path| format!("[[routes]]\nhost = \"files.test\"\nfiles = {path:?}");
    let plan = site(&[]).backend(witness.address()).table(&files(&dir.path().join("root")));
    let proxy = Proxy::start(&plan).await;
    let mut table = Table::new("Files");
    for (name, rfc, line, fields, wanted) in ASKED {
        let mut wire = proxy.client().connect().await.unwrap();
        let asked = String::from_utf8(request(line, fields, "")).unwrap();
        let asked = asked.replace("Host: localhost", "Host: files.test");
        wire.write_all(asked.as_bytes()).await.unwrap();
        let head = within("an answer", Head::read(&mut wire)).await.unwrap();
        let text = match line.starts_with("HEAD") || head.get("cache-control") == "no-store" {
            true => String::new(),
            false => within("a body", body(&head, &mut wire)).await.unwrap(),
        };
        let came = format!("{} {} {text}", head.status(), head.get("content-range"));
        table.row(name, rfc, &came, "", &[(wanted, &came)]);
    }
    table.settle();
    serves_as_before(&proxy).await;
    proxy.stop().await;
}
