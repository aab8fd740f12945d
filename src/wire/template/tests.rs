use super::*;

/// Fills in a letter for each hole, and a name where it has one.
struct Letters;

impl Fill for Letters {
    fn fill(&self, hole: &Hole, out: &mut Vec<u8>) {
        match hole {
            Hole::Host => out.push(b'h'),
            Hole::Header(name) => out.extend_from_slice(name.as_str().as_bytes()),
            _ => {}
        }
    }
}

fn filled(text: &str) -> String {
    let template = Template::parse(text, &REQUEST).unwrap();
    String::from_utf8(template.fill(&Letters)).unwrap()
}

#[test]
fn names_in_braces_are_filled_in_and_two_braces_are_one() {
    assert_eq!(filled("a{host}b{header.X-User}{query.q}c"), "ahbx-userc");
    assert_eq!(filled("{{\"group\":\"{host}\"}"), "{\"group\":\"h\"}");
    assert_eq!(filled("{{{host}}"), "{h}");
    assert_eq!(filled("}"), "}");
    assert_eq!(filled(""), "");
}

#[test]
fn a_template_without_holes_is_its_text() {
    let fixed = |text: &str| Template::parse(text, &REQUEST).unwrap().fixed().map(String::from);
    assert_eq!(fixed("a"), Some("a".to_owned()));
    assert_eq!(fixed("{{a}"), Some("{a}".to_owned()));
    assert_eq!(fixed("{host}"), None);
    assert_eq!(fixed(""), Some(String::new()));
}

#[test]
fn every_name_is_read_and_what_is_wrong_has_its_place() {
    for name in REQUEST {
        let name = if name.ends_with('.') { format!("{name}n") } else { name.to_owned() };
        let text = format!("{{{{{{{name}}}");
        let template = Template::parse(&text, &REQUEST).unwrap();
        assert_eq!(template.to_string(), text, "it is shown as it is written");
    }
    use TemplateErrorKind::{Name, Open, TooLong, Unknown};
    for (text, kind, at) in [
        ("a{hots}", Unknown, 1..7),
        ("a{{{}", Unknown, 3..5),
        ("{tls.name}", Unknown, 0..10),
        ("{host.x}", Unknown, 0..8),
        ("{header}", Unknown, 0..8),
        ("é{header.}", Name, 2..11),
        ("{header.a b}", Name, 0..12),
        ("{cookie.a;b}", Name, 0..12),
        ("{query.a=b}", Name, 0..11),
        ("{claim.}", Name, 0..8),
        ("{label.a b}", Name, 0..11),
        ("{access}", Unknown, 0..8),
        ("{host", Open, 0..5),
        ("{host}{", Open, 6..7),
        (&"x".repeat(4097), TooLong, 0..4097),
    ] {
        assert_eq!(Template::parse(text, &REQUEST), Err(TemplateError { at, kind }), "{text}");
    }
    assert!(Template::parse("{host}{query}", &REDIRECT).is_ok());
    assert!(Template::parse("{claim.https://a.example/role}", &LABEL_SOURCES).is_ok());
    assert_eq!(Template::parse("{label.a}", &LABEL_SOURCES).unwrap_err().kind, Unknown);
    for text in ["{query.a}", "{method}"] {
        assert_eq!(Template::parse(text, &REDIRECT).unwrap_err().kind, Unknown, "{text}");
    }
}

#[test]
fn a_parameter_is_found_by_its_whole_name() {
    let found = |query| parameter(Some(query), "room");
    assert_eq!(found("a=1&room=b%20c&room=2"), Some("b%20c"));
    assert_eq!(found("xroom=1&rooms=2&room"), None);
    assert_eq!(found("room="), Some(""));
    assert_eq!(parameter(None, "room"), None);
}
