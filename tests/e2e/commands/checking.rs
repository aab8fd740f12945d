//! `tidegate check`: what it reads, what it says, and its exit codes.

use super::*;

#[test]
fn check_reports_on_standard_output_and_by_its_exit_code() {
    let good = dir_with(SITE);
    let (code, out, err) = tidegate(good.path(), &["check"]);
    assert_eq!((code, err.as_str()), (0, "tidegate.toml can be taken\n"));
    assert!(out.contains("can never be taken") && out.contains("tidegate.toml:11"), "{out}");

    let bad = dir_with(&SITE.replace("backends", "bakends"));
    let (code, out, _) = tidegate(bad.path(), &["check"]);
    assert_eq!(code, 3);
    assert!(out.contains("bakends") && out.contains("backends"), "{out}");
    let (code, out, _) = tidegate(bad.path(), &["check", "--format", "json"]);
    assert_eq!(code, 3);
    assert!(out.starts_with("{\n") && out.contains("\"severity\": \"error\""), "{out}");

    let (code, out, err) = tidegate(Path::new("/"), &["check", "--config", "none.toml"]);
    assert_eq!(code, 3);
    assert!(out.contains("none.toml") && err.is_empty(), "{out}{err}");
}

#[test]
fn check_reads_a_named_file_and_standard_input_and_prints_json() {
    let dir = dir_with(SITE);
    let (code, out, err) = tidegate(Path::new("/"), &["check", &path_in(&dir)]);
    assert_eq!(code, 0, "{out}{err}");
    let piped = |text: &str, words: &[&str]| {
        let mut child = command(dir.path(), &[&["check", "-"], words].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    };
    let (code, _, err) = piped(SITE, &[]);
    assert_eq!((code, &*err), (0, "(standard input) can be taken\n"));
    let (code, out, _) = piped(&SITE.replace("backends", "bakends"), &["--json"]);
    assert_eq!(code, 3);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(json.to_string().contains("bakends"), "{json}");
}

#[test]
fn check_refuses_what_run_would_and_leaves_files_alone_where_it_is_told_to() {
    let site = SITE.replace("127.0.0.1:0", "unix:none/http.sock");
    let tls = "tls.certificates = { chain = \"none.pem\", key = \"none.key\" }";
    let secure = SITE.replacen("\n\n", &format!("\n{tls}\n\n"), 1);
    for text in [site, secure] {
        let dir = dir_with(&text);
        let (code, out, _) = tidegate(dir.path(), &["check"]);
        assert_eq!(code, 3, "{out}");
        let (code, out, _) = tidegate(dir.path(), &["check", "--no-files"]);
        assert_eq!(code, 0, "{out}");
        let (code, _, _) = tidegate(dir.path(), &["run"]);
        assert_ne!(code, 0);
    }
}

fn path_in(dir: &TempDir) -> String {
    dir.path().join("tidegate.toml").display().to_string()
}

#[test]
fn check_explains_which_route_takes_a_url() {
    let dir = dir_with(SITE);
    let explain = |words: &[&str]| {
        let all = [&["check", "--explain"], words].concat();
        let (code, out, _) = tidegate(dir.path(), &all);
        (code, out)
    };
    let (code, out) = explain(&["http://example.com/chat/7?x=1"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("http://example.com/chat/7?x=1: to pool `chat`\n"), "{out}");
    assert!(out.contains("tidegate.toml:7:1") && out.contains("another path"), "{out}");
    let (code, out) = explain(&["http://EXAMPLE.com./a/../old"]);
    assert_eq!((code, out.contains("307 to `/new`")), (0, true), "{out}");
    let (code, out) = explain(&["http://example.org/old", "--format", "json"]);
    assert_eq!((code, out.contains("\"taken\": null")), (4, true), "{out}");
    assert_eq!(explain(&["not a url"]).0, 2);
    assert_eq!(explain(&["example.com/chat/7"]).0, 0);
    let (code, out) = explain(&["/chat/7"]);
    assert_eq!((code, out.lines().next()), (0, Some("/chat/7: to pool `chat`")));
    assert_eq!(explain(&["ftp://example.com/"]).0, 2);
}

#[test]
fn check_says_how_ordered_certificates_stand() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let site = "\
[acme]
agree_to_terms = true
state = \"state\"
directory = \"https://ca.test/dir\"
[listeners.https]
address = \"127.0.0.1:0\"
tls.acme = true
[[routes]]
host = \"kept.test\"
respond = \"here\"
[[routes]]
host = \"failed.test\"
respond = \"here\"
";
    std::fs::write(dir.path().join("tidegate.toml"), site).unwrap();
    let (code, out, _) = tidegate(dir.path(), &["check"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("there is no certificate for `kept.test` yet"), "{out}");
    // A certificate that is ordered is one: no warning says that there is none.
    assert!(!out.contains("warning"), "{out}");
    assert!(!state.exists(), "a check makes nothing");
    let place = state.join("ca.test_dir");
    std::fs::create_dir_all(place.join("certificates")).unwrap();
    std::fs::create_dir_all(place.join("failures")).unwrap();
    let made = Certificates::new(&["kept.test"]);
    let read = |name: &str| std::fs::read_to_string(made.path().join(name)).unwrap();
    let text = read("site.pem") + &read("site.key");
    std::fs::write(place.join("certificates/kept.test.pem"), text).unwrap();
    let note = "1799582400 4102444800 2\nthe authority refuses: no\n";
    std::fs::write(place.join("failures/failed.test"), note).unwrap();
    let (code, out, _) = tidegate(dir.path(), &["check"]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("note[acme]: the certificate ordered for `kept.test` expires in"),
        "{out}"
    );
    assert!(out.contains("2 orders in a row have failed: the authority refuses: no"), "{out}");
    let (_, out, _) = tidegate(dir.path(), &["check", "--format", "json"]);
    assert!(out.contains("\"severity\": \"note\"") && out.contains("\"warnings\": 1"), "{out}");
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "no directory").unwrap();
    let (code, out, _) = tidegate(dir.path(), &["check"]);
    assert!(code == 0 && out.contains("nothing is known of ordered certificates"), "{out}");
}
