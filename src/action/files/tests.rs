use super::*;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
    VARY,
};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

const DIGITS: &str = "/a b.txt";

fn site() -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    for dir in ["root/sub", "root/.git", "root/.well-known", "outside", "root/..x"] {
        fs::create_dir_all(site.path().join(dir)).unwrap();
    }
    for (name, text) in [
        ("root/home.html", "home"),
        ("root/a b.txt", "0123456789"),
        ("root/empty.txt", ""),
        ("root/sub/home.html", "sub"),
        ("root/.env", "secret"),
        ("root/..x/y", "secret"),
        ("root/.git/config", "secret"),
        ("root/.well-known/acme", "token"),
        ("outside/secret.txt", "secret"),
        ("outside/home.html", "secret"),
    ] {
        fs::write(site.path().join(name), text).unwrap();
    }
    site
}

fn files(site: &tempfile::TempDir, fallback: Option<&str>, prefix: Option<&str>) -> FileServer {
    let plan = plan::Files {
        root: site.path().join("root"),
        index: "home.html".into(),
        fallback: fallback.map(Arc::from),
        pool: None,
        strip_prefix: prefix.is_some(),
        precompressed: true,
        cache: Vec::new(),
    };
    FileServer::new(&plan, prefix)
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn get(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask(
    files: &FileServer,
    method: Method,
    path: &str,
    fields: &[(HeaderName, &str)],
) -> Result<Got, ActionError> {
    let mut request = Request::builder().method(method).uri("/as-it-came?q");
    for (name, value) in fields {
        request = request.header(name, *value);
    }
    let head = request.body(()).unwrap().into_parts().0;
    let (answer, body) = files.serve(&head, path).await?.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    let (status, headers) = (answer.status.as_u16(), answer.headers);
    Ok(Got { status, headers, body: String::from_utf8(body).unwrap() })
}

async fn get(files: &FileServer, path: &str) -> Result<(u16, String), ActionError> {
    ask(files, Method::GET, path, &[]).await.map(|got| (got.status, got.body))
}

#[tokio::test]
async fn an_index_stands_for_its_directory() {
    let site = site();
    let files = files(&site, None, None);
    assert_eq!(get(&files, "/").await.unwrap(), (200, "home".into()));
    assert_eq!(get(&files, "/sub/").await.unwrap(), (200, "sub".into()));
}

#[tokio::test]
async fn a_directory_is_redirected_to_its_slash_with_the_prefix_put_back() {
    let site = site();
    let files = files(&site, None, Some("/static/"));
    let got = ask(&files, Method::GET, "/sub", &[]).await.unwrap();
    assert_eq!((got.status, got.get(LOCATION)), (307, "/static/sub/?q"));
}

#[tokio::test]
async fn a_file_is_served_with_what_tells_it_from_another() {
    let site = site();
    let files = files(&site, None, None);
    let got = ask(&files, Method::GET, DIGITS, &[]).await.unwrap();
    assert_eq!((got.status, &*got.body), (200, "0123456789"));
    assert_eq!(got.get(CONTENT_TYPE), "text/plain; charset=utf-8");
    assert_eq!((got.get(CONTENT_LENGTH), got.get(ACCEPT_RANGES)), ("10", "bytes"));
    let conditions = [(IF_NONE_MATCH, got.get(ETAG)), (IF_MODIFIED_SINCE, got.get(LAST_MODIFIED))];
    for condition in conditions {
        let again = ask(&files, Method::GET, DIGITS, &[condition]).await.unwrap();
        assert_eq!((again.status, &*again.body), (304, ""));
        assert_eq!(again.get(ETAG), got.get(ETAG));
    }
    let other = ask(&files, Method::GET, DIGITS, &[(IF_MATCH, "\"other\"")]).await.unwrap();
    assert_eq!((other.status, &*other.body), (412, ""));
    fs::write(site.path().join("root/a b.txt"), "9876543210 and more").unwrap();
    let changed = ask(&files, Method::GET, DIGITS, &[(IF_NONE_MATCH, got.get(ETAG))]).await;
    assert_eq!(changed.unwrap().status, 200);
}

#[tokio::test]
async fn a_part_is_served_where_one_is_asked_for() {
    let site = site();
    let files = files(&site, None, None);
    let rows = [
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("Bytes=0-3", 206, "bytes 0-3/10", "0123"),
        ("bytes=-100", 206, "bytes 0-9/10", "0123456789"),
        ("items=0-3", 200, "", "0123456789"),
        ("bytes=4-2", 200, "", "0123456789"),
        ("bytes=10-", 416, "bytes */10", ""),
    ];
    for (range, status, content_range, body) in rows {
        let got = ask(&files, Method::GET, DIGITS, &[(RANGE, range)]).await.unwrap();
        let told = (got.status, got.get(CONTENT_RANGE), &*got.body);
        assert_eq!(told, (status, content_range, body), "{range}");
        let head = ask(&files, Method::HEAD, DIGITS, &[(RANGE, range)]).await.unwrap();
        assert_eq!((head.status, head.get(CONTENT_LENGTH), &*head.body), (200, "10", ""));
    }
    let got = ask(&files, Method::GET, "/empty.txt", &[(RANGE, "bytes=0-")]).await.unwrap();
    assert_eq!((got.status, got.get(CONTENT_RANGE)), (416, "bytes */0"));
    let got = ask(&files, Method::GET, "/empty.txt", &[(RANGE, "bytes=-5")]).await.unwrap();
    assert_eq!((got.status, got.get(CONTENT_LENGTH)), (200, "0"));
}

#[tokio::test]
async fn several_parts_are_served_one_after_another() {
    let site = site();
    let files = files(&site, None, None);
    let got = ask(&files, Method::GET, DIGITS, &[(RANGE, "bytes=0-1,3-4")]).await.unwrap();
    assert_eq!(got.status, 206);
    let boundary = got.get(CONTENT_TYPE).strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, text: &str| {
        format!(
            "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Range: bytes {range}/10\r\n\r\n{text}\r\n"
        )
    };
    assert_eq!(got.body, part("0-1", "01") + &part("3-4", "34") + &format!("--{boundary}--\r\n"));
    assert_eq!(got.get(CONTENT_LENGTH), got.body.len().to_string());
    assert_eq!(got.get(CONTENT_RANGE), "");
}

#[tokio::test]
async fn a_part_of_another_version_is_not_sent() {
    let site = site();
    let file = fs::File::options().write(true).open(site.path().join("root/a b.txt")).unwrap();
    file.set_modified(clock::wall() - Duration::from_secs(60)).unwrap();
    let files = files(&site, None, None);
    let first = ask(&files, Method::GET, DIGITS, &[(RANGE, "bytes=0-4")]).await.unwrap();
    let rest = [(RANGE, "bytes=5-"), (IF_RANGE, first.get(ETAG))];
    let status =
        async |fields: &[_]| ask(&files, Method::GET, DIGITS, fields).await.unwrap().status;
    assert_eq!(status(&rest).await, 206);
    let by_date = [(RANGE, "bytes=5-"), (IF_RANGE, first.get(LAST_MODIFIED))];
    assert_eq!(status(&by_date).await, 206);
    assert_eq!(status(&[(RANGE, "bytes=5-"), (IF_RANGE, "\"other\"")]).await, 200);
    fs::write(site.path().join("root/a b.txt"), "abcdefghij").unwrap();
    assert_eq!(status(&rest).await, 200);
    assert_eq!(status(&by_date).await, 200);
}

#[tokio::test]
async fn a_long_file_comes_whole_and_in_order() {
    let site = site();
    let text: String = (0..40_000).map(|number| format!("{number:05}")).collect();
    fs::write(site.path().join("root/long.bin"), &text).unwrap();
    let files = files(&site, None, None);
    let got = get(&files, "/long.bin").await.unwrap();
    assert_eq!(got.0, 200);
    assert!(got.1 == text, "{} bytes", got.1.len());
    let part = [(RANGE, "bytes=100000-180000")];
    let got = ask(&files, Method::GET, "/long.bin", &part).await.unwrap();
    assert!(got.body == text[100_000..=180_000]);
}

#[tokio::test]
async fn a_file_that_becomes_shorter_breaks_its_answer_off() {
    let site = site();
    let path = site.path().join("root/long.bin");
    fs::write(&path, vec![7; 1 << 20]).unwrap();
    let files = files(&site, None, None);
    let head = Request::get("/").body(()).unwrap().into_parts().0;
    let answer = files.serve(&head, "/long.bin").await.unwrap();
    fs::write(&path, "short").unwrap();
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn names_with_a_dot_are_hidden_but_the_well_known() {
    let site = site();
    let files = files(&site, Some("home.html"), None);
    for path in ["/.env", "/.git/config", "/.git/", "/.git", "/sub/.x", "/..x/y", "/../outside"] {
        assert!(matches!(get(&files, path).await, Err(ActionError::NoFile)), "{path}");
    }
    assert_eq!(get(&files, "/.well-known/acme").await.unwrap(), (200, "token".into()));
}

#[tokio::test]
async fn links_lead_nowhere_but_inside() {
    let site = site();
    let (root, outside) = (site.path().join("root"), site.path().join("outside"));
    let link = |to: &Path, name: &str| symlink(to, root.join(name)).unwrap();
    link(&outside.join("secret.txt"), "out-file");
    link(Path::new("../outside/secret.txt"), "out-relative");
    link(&outside, "out-dir");
    link(Path::new("/etc/passwd"), "sub/passwd");
    link(Path::new("loop"), "loop");
    link(Path::new("gone"), "dangling");
    link(&root.join("sub"), "in-dir");
    link(Path::new("sub/home.html"), "in-file");
    link(Path::new(".git"), "named");
    let files = files(&site, None, None);
    for path in [
        "/out-file",
        "/out-relative",
        "/out-dir/",
        "/out-dir/secret.txt",
        "/out-dir",
        "/loop",
        "/sub/passwd",
        "/dangling",
    ] {
        assert!(matches!(get(&files, path).await, Err(ActionError::NoFile)), "{path}");
    }
    assert_eq!(get(&files, "/in-file").await.unwrap(), (200, "sub".into()));
    assert_eq!(get(&files, "/in-dir/home.html").await.unwrap(), (200, "sub".into()));
    // Whoever links a hidden name by another means to show it.
    assert_eq!(get(&files, "/named/config").await.unwrap(), (200, "secret".into()));
    // The root may be a link itself, and be led elsewhere at any time.
    let linked = site.path().join("linked");
    symlink(&root, &linked).unwrap();
    let plan = plan::Files {
        root: linked,
        index: "home.html".into(),
        fallback: None,
        pool: None,
        strip_prefix: false,
        precompressed: false,
        cache: Vec::new(),
    };
    let files = FileServer::new(&plan, None);
    assert_eq!(get(&files, "/").await.unwrap(), (200, "home".into()));
    assert!(matches!(get(&files, "/out-file").await, Err(ActionError::NoFile)));
}

#[tokio::test]
async fn what_is_no_file_is_not_opened() {
    let site = site();
    let root = site.path().join("root");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo"), mode).unwrap();
    symlink("fifo", root.join("to-fifo")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let files = files(&site, None, None);
    for path in ["/fifo", "/to-fifo", "/socket"] {
        let asked = tokio::time::timeout(Duration::from_secs(10), get(&files, path)).await;
        assert!(matches!(asked.unwrap(), Err(ActionError::NoFile)), "{path}");
    }
}

#[tokio::test]
async fn a_fallback_is_found_for_what_is_not_there() {
    let site = site();
    let without = files(&site, None, None);
    for path in ["/no", "/no/", "/home.html/x", "/home.html/", "/a\0b"] {
        assert!(matches!(get(&without, path).await, Err(ActionError::NoFile)), "{path}");
    }
    let with = files(&site, Some("home.html"), None);
    let got = ask(&with, Method::GET, "/no/such/page", &[]).await.unwrap();
    assert_eq!((got.status, &*got.body), (200, "home"));
    assert_eq!(got.get(CONTENT_TYPE), "text/html; charset=utf-8");
    let gone = files(&site, Some("gone.html"), None);
    assert!(matches!(get(&gone, "/no").await, Err(ActionError::NoFile)));
}

#[tokio::test]
async fn a_file_is_not_posted_to() {
    let site = site();
    let files = files(&site, Some("home.html"), None);
    assert!(matches!(ask(&files, Method::POST, "/", &[]).await, Err(ActionError::Method)));
}

/// A text, and what stands beside it compressed; `_old` is older than its text.
fn coded_site() -> tempfile::TempDir {
    let site = site();
    let root = site.path().join("root");
    for (name, text) in [
        ("app.js", "plain text"),
        ("app.js.br", "brotli"),
        ("app.js.gz", "gzipped"),
        ("old.js", "new text"),
        ("old.js.gz", "old"),
        ("only.css", "style"),
        ("only.css.gz", "css"),
    ] {
        fs::write(root.join(name), text).unwrap();
    }
    let old = fs::File::options().write(true).open(root.join("old.js.gz")).unwrap();
    old.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    site
}

#[tokio::test]
async fn what_is_compressed_beside_a_file_is_served_to_who_takes_it() {
    let site = coded_site();
    let files = files(&site, Some("app.js"), None);
    let browser = (ACCEPT_ENCODING, "gzip, deflate, br, zstd");
    for (path, accepts, coding, body) in [
        ("/app.js", browser.1, "br", "brotli"),
        ("/app.js", "gzip", "gzip", "gzipped"),
        ("/app.js", "br;q=0", "", "plain text"),
        ("/only.css", browser.1, "gzip", "css"),
        ("/old.js", browser.1, "", "new text"),
        ("/home.html", browser.1, "", "home"),
        ("/none", browser.1, "br", "brotli"),
    ] {
        let got = ask(&files, Method::GET, path, &[(ACCEPT_ENCODING, accepts)]).await.unwrap();
        assert_eq!((got.get(CONTENT_ENCODING), &*got.body), (coding, body), "{path} {accepts}");
        assert_eq!(got.get(VARY), "Accept-Encoding", "{path} {accepts}");
        let length = body.len().to_string();
        assert_eq!(got.get(CONTENT_LENGTH), length, "{path} {accepts}");
    }
    let got = ask(&files, Method::GET, "/app.js", &[browser]).await.unwrap();
    assert_eq!(got.get(CONTENT_TYPE), "text/javascript; charset=utf-8");
}

#[tokio::test]
async fn tags_and_ranges_are_those_of_what_is_sent() {
    let site = coded_site();
    let files = files(&site, None, None);
    let br = || (ACCEPT_ENCODING, "br");
    let tag = |got: &Got| got.get(ETAG).to_owned();
    let plain = tag(&ask(&files, Method::GET, "/app.js", &[]).await.unwrap());
    let coded = tag(&ask(&files, Method::GET, "/app.js", &[br()]).await.unwrap());
    assert_ne!(plain, coded);
    let again =
        ask(&files, Method::GET, "/app.js", &[br(), (IF_NONE_MATCH, &coded)]).await.unwrap();
    assert_eq!((again.status, again.get(VARY)), (304, "Accept-Encoding"));
    let other =
        ask(&files, Method::GET, "/app.js", &[br(), (IF_NONE_MATCH, &plain)]).await.unwrap();
    assert_eq!((other.status, &*other.body), (200, "brotli"));
    let part = [br(), (RANGE, "bytes=1-3"), (IF_RANGE, &coded)];
    let part = ask(&files, Method::GET, "/app.js", &part).await.unwrap();
    assert_eq!((part.status, &*part.body, part.get(CONTENT_ENCODING)), (206, "rot", "br"));
    assert_eq!(part.get(CONTENT_RANGE), "bytes 1-3/6");
    let part = [br(), (RANGE, "bytes=1-3"), (IF_RANGE, &plain)];
    let part = ask(&files, Method::GET, "/app.js", &part).await.unwrap();
    assert_eq!((part.status, &*part.body), (200, "brotli"));
    let several = [br(), (RANGE, "bytes=0-1,3-4")];
    let several = ask(&files, Method::GET, "/app.js", &several).await.unwrap();
    assert_eq!((several.status, several.get(CONTENT_ENCODING)), (206, ""));
    let beyond = ask(&files, Method::GET, "/app.js", &[br(), (RANGE, "bytes=99-")]).await.unwrap();
    assert_eq!((beyond.status, beyond.get(CONTENT_ENCODING)), (416, ""));
}
