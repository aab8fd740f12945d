use super::*;
use proptest::prelude::*;

fn both(path: &str) -> Result<(String, String), PathError> {
    read(path).map(|reading| (reading.matched.into_owned(), reading.sent.into_owned()))
}

#[test]
fn a_plain_path_is_left_alone() {
    for path in ["/", "/chat", "/a/b.c/", "/a..b/c...", "/~x=1,2", "/é"] {
        let Ok(Reading { matched: Cow::Borrowed(matched), sent: Cow::Borrowed(sent) }) = read(path)
        else {
            panic!("{path}")
        };
        assert_eq!((matched, sent), (path, path));
    }
}

#[test]
fn spellings_of_a_path_are_matched_as_one_and_sent_as_they_came() {
    let pairs = [
        ("//", "/"),
        ("/a//b///c", "/a/b/c"),
        ("/...", "/..."),
        ("/.hidden/..x", "/.hidden/..x"),
        ("/%63hat", "/chat"),
        ("/group%2Fproject", "/group/project"),
        ("/a%2f%2Fb/%2Fc", "/a/b/c"),
        ("/a%2ehtml", "/a.html"),
        ("/%2e%2e%2e", "/..."),
        ("/%25%32%65", "/%2e"),
        ("/a%3Fb%23c%20d", "/a?b#c d"),
        ("/caf%C3%A9", "/café"),
        ("/caf%E9", "/caf\u{fffd}"),
        ("/fetch/http://a.example/b", "/fetch/http:/a.example/b"),
        ("/admin;x", "/admin"),
        ("/admin;a=1;b=2/c;d", "/admin/c"),
        ("/;x/admin", "/admin"),
        ("/;/;/admin", "/admin"),
        ("/a;x%2Fy/b", "/a/b"),
        ("/a%3Bb", "/a;b"),
        ("/a/;..", "/a/"),
    ];
    for (path, matched) in pairs {
        assert_eq!(both(path), Ok((matched.into(), path.into())), "{path}");
    }
}

#[test]
fn dot_segments_are_resolved_in_what_is_sent_too() {
    let rows = [
        ("/.", "/", "/"),
        ("/./a/./b/.", "/a/b/", "/a/b/"),
        ("/a/../b", "/b", "/b"),
        ("/a/b/..", "/a/", "/a/"),
        ("/a/b/../../c", "/c", "/c"),
        ("/a/..", "/", "/"),
        ("/a//../b", "/b", "/b"),
        ("//a/./b", "/a/b", "//a/b"),
        ("/a%2Fb/c/../d", "/a/b/d", "/a%2Fb/d"),
        ("/a;v=1/../b;v=2", "/b", "/b;v=2"),
        ("/a/;x/../b", "/a/b", "/a/b"),
        ("/admin/users/1/../../../x", "/x", "/x"),
    ];
    for (path, matched, sent) in rows {
        assert_eq!(both(path), Ok((matched.into(), sent.into())), "{path}");
    }
}

#[test]
fn what_means_nothing_is_refused() {
    let wrong = [
        ("", PathError::NotAbsolute),
        ("*", PathError::NotAbsolute),
        ("%2fa", PathError::NotAbsolute),
        ("/%", PathError::Percent),
        ("/%4", PathError::Percent),
        ("/%zz", PathError::Percent),
        ("/%+1", PathError::Percent),
        ("/a%00", PathError::Null),
        ("/..", PathError::AboveRoot),
        ("/../a", PathError::AboveRoot),
        ("/a/../../b", PathError::AboveRoot),
        ("//..", PathError::AboveRoot),
    ];
    for (path, why) in wrong {
        assert_eq!(both(path), Err(why), "{path}");
        assert!(!why.is_ambiguous());
    }
}

#[test]
fn what_readers_do_not_agree_on_is_refused_and_matched_by_its_worst_reading() {
    use PathError::{Backslash, Control, HiddenDots, Overlong};
    let rows = [
        ("/a/%2e%2E/b", HiddenDots, "/b"),
        ("/a/.%2e/b", HiddenDots, "/b"),
        ("/a/%2e", HiddenDots, "/a/"),
        ("/admin/..%2fx", HiddenDots, "/x"),
        ("/a%2F../b", HiddenDots, "/b"),
        ("/a%2f.%2fb", HiddenDots, "/a/b"),
        ("/a/..;/b", HiddenDots, "/b"),
        ("/a/.;x/b", HiddenDots, "/a/b"),
        ("/a/..%3b/b", HiddenDots, "/a/..;/b"),
        ("/a%2Fb/../c", HiddenDots, "/a/c"),
        ("/a\\b", Backslash, "/a\\b"),
        ("/a%5cb", Backslash, "/a\\b"),
        ("/admin%0a", Control, "/admin\n"),
        ("/a%09", Control, "/a\t"),
        ("/a\u{7f}", Control, "/a\u{7f}"),
        ("/a%c0%afb", Overlong, "/a\u{fffd}\u{fffd}b"),
        ("/%C0%AE%C0%AE/b", Overlong, "/\u{fffd}\u{fffd}\u{fffd}\u{fffd}/b"),
        ("/%e0%80%af", Overlong, "/\u{fffd}\u{fffd}\u{fffd}"),
    ];
    for (path, why, worst) in rows {
        assert_eq!(both(path), Err(why), "{path}");
        assert!(why.is_ambiguous());
        assert_eq!(read_ambiguous(path).as_deref(), Ok(worst), "{path}");
    }
    assert_eq!(read_ambiguous("/%2e%2e/etc/passwd"), Err(PathError::AboveRoot));
}

#[test]
fn a_beginning_is_cut_from_what_is_sent() {
    let rows = [
        ("/api/x", "/api", "/x"),
        ("/api", "/api", "/"),
        ("/api-2/x", "/api-", "/2/x"),
        ("/x", "/", "/x"),
        ("/api/a%20b%FF", "/api", "/a%20b%FF"),
        ("/api/group%2Fproject", "/api", "/group%2Fproject"),
        ("/api/fetch/http://a", "/api", "/fetch/http://a"),
        ("//api//x//y", "/api", "/x//y"),
        ("/api%2F%2fx", "/api", "/x"),
        ("/%61pi/100%25", "/api", "/100%25"),
        ("/api;v=1/x;v=2", "/api", "/x;v=2"),
        ("/caf%C3%A9/x", "/café", "/x"),
        ("/café/x", "/café", "/x"),
    ];
    for (sent, prefix, rest) in rows {
        assert_eq!(cut(sent, prefix.len()), rest, "{sent}");
    }
}

#[test]
fn what_may_not_stand_in_a_path_is_escaped() {
    assert_eq!(escape("/a b%2f/é", false), "/a%20b%252f/%C3%A9");
    assert_eq!(escape("/a%20b/é\"", true), "/a%20b/%C3%A9%22");
    assert!(matches!(escape("/a;b=c/~@:", false), Cow::Borrowed(_)));
}

#[test]
fn letters_of_any_case_are_one() {
    assert!(matches!(fold("/admin/é"), Cow::Borrowed("/admin/é")));
    // The last two are the signs for kelvin and a long s.
    for text in ["/ADMIN/ASK", "/AdMin/ask", "/admin/as\u{212a}", "/admin/a\u{17f}k"] {
        assert_eq!(fold(text), "/admin/ask");
        assert_eq!(folded_prefix(&format!("{text}/X"), "/admin/ask"), Some(text.len()));
    }
    assert_eq!(fold("/CAFÉ"), "/café");
    assert_eq!(folded_prefix("/adm", "/admin"), None);
    assert_eq!(folded_prefix("/bdmin", "/admin"), None);
}

/// The readers behind us, as they take a path apart: decoded at once (nginx, WSGI); by plain
/// slashes, each segment decoded (Express); parameters cut off first (a servlet container). Each
/// resolves dots as it sees them, and gives the segments that are not empty.
fn readers(sent: &str) -> [Vec<String>; 3] {
    fn decoded(text: &str) -> String {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        while let Ok(Some(byte)) = decode(&mut rest) {
            bytes.push(byte);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
    fn walked<'a>(segments: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut kept = Vec::new();
        for segment in segments {
            match segment {
                "" | "." => {}
                ".." => drop(kept.pop()),
                _ => kept.push(segment.to_owned()),
            }
        }
        kept
    }
    let at_once = decoded(sent);
    let express = walked(sent.split('/')).iter().map(|segment| decoded(segment)).collect();
    let bare = sent.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    let servlet: Vec<_> = bare.map(decoded).collect();
    let servlet = walked(servlet.iter().flat_map(|segment| segment.split('/')));
    [walked(at_once.split('/')), express, servlet]
}

proptest! {
    #[test]
    fn a_path_that_is_read_leads_to_one_place(
        any in ".{0,40}",
        near in "(/|//|\\.|\\.\\.|%2e|%2F|%5c|;|;x|%3b|a|b|%25|%c3|%A9){0,12}",
    ) {
        for path in [format!("/{any}"), format!("/{near}"), any] {
            let Ok(Reading { matched, sent }) = read(&path) else { continue };
            prop_assert!(matched.starts_with('/') && sent.starts_with('/'));
            prop_assert!(!matched.contains("//"));
            prop_assert!(!sent.split('/').any(|segment| matches!(segment, "." | "..")));
            // What is sent is read as what it was read from.
            let again = read(&sent);
            prop_assert_eq!(again.as_ref().map(|again| &again.matched), Ok(&matched));
            // To none of them is it another place in the tree.
            let segments = |text: &str| -> Vec<String> {
                text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
            };
            let [at_once, express, servlet] = readers(&sent);
            prop_assert_eq!(&servlet, &segments(&matched));
            // Parameters stay in a segment's text, which is then longer, and never another place.
            let bare = |segments: &[String]| -> Vec<String> {
                segments.iter().map(|it| it.split(';').next().unwrap_or_default().to_owned())
                    .filter(|it| !it.is_empty()).collect()
            };
            if !sent.to_ascii_lowercase().contains("%2f") {
                prop_assert_eq!(bare(&at_once), bare(&servlet));
                prop_assert_eq!(bare(&express), bare(&servlet));
            }
            prop_assert_eq!(cut(&sent, 0).split('/').count() > 1, true);
        }
    }

    #[test]
    fn what_is_cut_and_what_is_left_are_the_whole(
        prefix in "(/[ab]{1,2}){1,3}",
        rest in "((/|//|%2F)(a|;x|%61|é|%C3%A9)){0,4}",
    ) {
        let whole = format!("{prefix}{rest}");
        let whole = read(&whole).unwrap();
        let left = cut(&whole.sent, prefix.len());
        let left = read(&left).unwrap().matched.into_owned();
        let joined = format!("{prefix}{}", left.trim_end_matches('/'));
        prop_assert_eq!(joined.as_str(), whole.matched.trim_end_matches('/'));
    }
}
