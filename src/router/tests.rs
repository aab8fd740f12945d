use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::config::plan::{
    Action, FieldCondition, FieldMatch, PathPattern, Respond, StoredPage, WebSocketMode,
};
use crate::wire::path::fold;

mod case;
mod reference;

/// A route written in one line: host, path as in a configuration, then methods, `field=value`,
/// `@listener`, `i` where it ignores case, and `ws` where only handshakes match.
fn route(line: &str) -> Arc<Route> {
    let mut words = line.split(' ').peekable();
    let host = match words.next().unwrap() {
        "*" => HostPattern::Any,
        host => match host.strip_prefix("*.") {
            Some(below) => HostPattern::Wildcard(below.into()),
            None => HostPattern::Exact(host.into()),
        },
    };
    let mark = words.next_if(|word| ["=", "^~", "~"].contains(word));
    let (text, is_final) = (words.next().unwrap(), mark == Some("^~"));
    let text: &str =
        &if line.split(' ').any(|word| word == "i") { fold(text) } else { text.into() };
    let path = match (mark, text.strip_suffix('*')) {
        (Some("="), _) => PathPattern::Exact(text.into()),
        (Some("~"), _) => PathPattern::Regex(regex::Regex::new(text).unwrap()),
        (_, Some(prefix)) => PathPattern::Textual { prefix: prefix.into(), is_final },
        _ => PathPattern::Segment { prefix: text.into(), is_final },
    };
    let (flags, words): (Vec<_>, Vec<_>) = words.partition(|word| ["i", "ws"].contains(word));
    let (fields, words): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.contains('='));
    let (listeners, methods): (Vec<_>, Vec<_>) =
        words.into_iter().partition(|word| word.starts_with('@'));
    let methods = methods.into_iter().map(|name| name.parse().unwrap()).collect();
    let mut made = made(line, host, path, methods, fields.into_iter().map(field).collect());
    if flags.contains(&"ws") {
        made.websocket = WebSocketMode::Matched;
    }
    made.ignore_case = flags.contains(&"i") && made.path.prefix().is_some();
    made.listeners = listeners.into_iter().map(|name| name[1..].into()).collect();
    Arc::new(made)
}

/// `name=` is present, `name=!` absent, `name=~regex`, `name=value`.
fn field(written: &str) -> FieldCondition {
    let (name, value) = written.split_once('=').unwrap();
    let value = match value {
        "" => FieldMatch::Present,
        "!" => FieldMatch::Absent,
        _ => match value.strip_prefix('~') {
            Some(source) => FieldMatch::Regex(regex::Regex::new(source).unwrap()),
            None => FieldMatch::Exact(value.parse().unwrap()),
        },
    };
    FieldCondition { name: name.parse().unwrap(), value }
}

fn made(
    identity: &str,
    host: HostPattern,
    path: PathPattern,
    methods: Vec<Method>,
    headers: Vec<FieldCondition>,
) -> Route {
    let page = StoredPage { body: "".into(), content_type: HeaderValue::from_static("text/plain") };
    Route {
        identity: identity.into(),
        listeners: Vec::new(),
        host,
        path,
        ignore_case: false,
        raw_path: false,
        methods,
        headers,
        action: Action::Respond(Respond { status: StatusCode::OK, page }),
        websocket: WebSocketMode::Allowed,
        allowed_origins: None,
        access: None,
        rules: Arc::default(),
        limits: Default::default(),
        labels: Default::default(),
        backend_labels: false,
        push: None,
        request_headers: Default::default(),
        response_headers: Default::default(),
        trailers: Default::default(),
        errors: None,
        compress: None,
        hold: None,
        queue: None,
    }
}

fn routes(lines: &[&str]) -> Vec<Arc<Route>> {
    lines.iter().map(|line| route(line)).collect()
}

fn ask<T>(request: &str, then: impl FnOnce(&Query<'_>) -> T) -> T {
    let mut words = request.split(' ');
    let (host, path) = (words.next().filter(|host| *host != "-"), words.next().unwrap());
    let method = words.next().unwrap_or("GET").parse().unwrap();
    let listener = request.split(" @").nth(1).or(Some("http"));
    let (mut headers, is_websocket) = (HeaderMap::new(), request.ends_with(" ws"));
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    then(&Query { listener, host, path, is_websocket, method: &method, headers: &headers })
}

/// Which of `lines` takes each request; `-` when none does.
#[track_caller]
fn assert_found(lines: &[&str], wanted: &[(&str, &str)]) {
    let router = Router::build(&routes(lines));
    for (request, line) in wanted {
        let found = ask(request, |query| router.find(query)).map_or("-", |index| lines[index]);
        assert_eq!(found, *line, "{request}");
    }
}

#[test]
fn the_more_exact_host_comes_first() {
    assert_found(
        &["* /", "*.example.com /", "*.b.example.com /", "a.b.example.com /"],
        &[
            ("a.b.example.com /", "a.b.example.com /"),
            ("x.b.example.com /", "*.b.example.com /"),
            ("x.y.b.example.com /", "*.b.example.com /"),
            ("b.example.com /", "*.example.com /"),
            ("example.com /", "* /"),
            ("badexample.com /", "* /"),
            (".example.com /", "* /"),
            ("- /", "* /"),
        ],
    );
}

#[test]
fn what_a_host_does_not_take_falls_to_the_next_less_exact_one() {
    assert_found(
        &["a.example.com /chat", "*.example.com = /page", "* /"],
        &[
            ("a.example.com /chat/1", "a.example.com /chat"),
            ("a.example.com /page", "*.example.com = /page"),
            ("a.example.com /other", "* /"),
        ],
    );
}

#[test]
fn paths_are_taken_in_the_order_of_nginx() {
    assert_found(
        &["h /", "h /img", "h ^~ /static", "h ~ \\.png$", "h ~ ^/img/x", "h = /img/x.png"],
        &[
            ("h /img/x.png", "h = /img/x.png"),
            ("h /img/y.png", "h ~ \\.png$"),
            ("h /img/x.gif", "h ~ ^/img/x"),
            ("h /img/x/y.png", "h ~ \\.png$"),
            ("h /static/y.png", "h ^~ /static"),
            ("h /img", "h /img"),
            ("h /elsewhere", "h /"),
        ],
    );
}

#[test]
fn a_segment_prefix_ends_at_a_slash_and_a_textual_one_anywhere() {
    assert_found(
        &["h /chat", "h /ch*", "h /chat/*"],
        &[
            ("h /chat", "h /chat"),
            ("h /chat/", "h /chat/*"),
            ("h /chatter", "h /ch*"),
            ("h /c", "-"),
        ],
    );
    assert_found(&["h /chat*", "h /chat"], &[("h /chat/x", "h /chat"), ("h /chats", "h /chat*")]);
}

#[test]
fn a_longer_prefix_that_is_not_final_lets_regexes_in_again() {
    assert_found(
        &["h ^~ /a", "h /a/b", "h ~ x$"],
        &[("h /a/x", "h ^~ /a"), ("h /a/b/x", "h ~ x$"), ("h /a/b/y", "h /a/b")],
    );
}

#[test]
fn conditions_come_first_and_the_route_without_them_is_the_last_resort() {
    assert_found(
        &["h /", "h / upgrade=", "h / POST", "h /a PUT", "h /a x-beta=~^[0-9]+$", "h /b ws"],
        &[
            ("h /b GET ws", "h /b ws"),
            ("h /b", "h /"),
            ("h /", "h /"),
            ("h / POST", "h / POST"),
            ("h / POST upgrade=websocket", "h / upgrade="),
            ("h /a PUT", "h /a PUT"),
            ("h /a GET x-beta=on x-beta=7", "h /a x-beta=~^[0-9]+$"),
            ("h /a GET x-beta=on", "h /"),
        ],
    );
    assert_found(
        &["h ~ ^/a", "h ~ a$", "h ~ ^/a x=!", "h ~ a$ x=1"],
        &[("h /a", "h ~ ^/a x=!"), ("h /a GET x=1", "h ~ ^/a"), ("h /ba GET x=1", "h ~ a$ x=1")],
    );
}

#[test]
fn a_route_for_a_listener_takes_what_came_in_by_it() {
    assert_found(
        &["* / @http", "* /chat", "* /chat @tls @http"],
        &[
            ("h /", "* / @http"),
            ("h / GET @tls", "-"),
            ("h /chat GET @tls", "* /chat @tls @http"),
            ("h /chat GET @other", "* /chat"),
        ],
    );
}

#[test]
fn an_explanation_names_the_first_condition_that_fails_or_what_came_first() {
    let lines =
        ["h /", "h /a", "h ~ ^/a", "h = /a", "o /a", "h /b", "h /a POST", "h /a x=1", "* /"];
    let router = Router::build(&routes(&lines));
    let outranked = |why| MatchOutcome::Outranked { by: 3, why };
    let told: Vec<MatchOutcome> =
        ask("h /a", |query| router.explain(query)).into_iter().map(|(_, told)| told).collect();
    let wanted = [
        outranked(Precedence::ExactPath),
        outranked(Precedence::ExactPath),
        outranked(Precedence::ExactPath),
        MatchOutcome::Taken,
        MatchOutcome::Host,
        MatchOutcome::Path,
        MatchOutcome::Method,
        MatchOutcome::Field(HeaderName::from_static("x")),
        outranked(Precedence::Host),
    ];
    assert_eq!(told, wanted);
}

#[test]
fn every_precedence_has_its_reason() {
    let between = |taken, other| Precedence::between(&route(taken), &route(other));
    assert_eq!(between("h ^~ /a", "h ~ ^/a"), Precedence::FinalPrefix);
    assert_eq!(between("h ~ ^/a", "h /a"), Precedence::Regex);
    assert_eq!(between("h ~ ^/a", "h ~ ^/"), Precedence::EarlierRegex);
    assert_eq!(between("h /a/b", "h /a"), Precedence::LongerPrefix);
    assert_eq!(between("h /a", "h /a*"), Precedence::Segment);
    assert_eq!(between("h /a x=1", "h ^~ /a"), Precedence::Conditions);
    assert_eq!(between("h /a x=1", "h /a POST"), Precedence::Earlier);
}

/// Each unreachable line, the line in its way, and how.
fn shadows(lines: &[&'static str]) -> Vec<(&'static str, &'static str, UnreachableCause)> {
    let found = Router::build(&routes(lines)).unreachable();
    let line = |index: usize| lines[index];
    found.iter().map(|it| (line(it.route), it.by.map_or("-", line), it.why)).collect()
}

#[test]
fn a_route_that_repeats_or_narrows_an_earlier_one_is_out_of_reach() {
    assert_eq!(shadows(&["h /a", "h /a"]), [("h /a", "h /a", UnreachableCause::Same)]);
    assert_eq!(shadows(&["h /a", "h ^~ /a"]), [("h ^~ /a", "h /a", UnreachableCause::Same)]);
    assert_eq!(shadows(&["h /a", "h /a POST", "h /a*", "o /a"]), []);
    let narrower = ["h /a GET POST", "h /a POST x=1", "h /a PUT"];
    assert_eq!(shadows(&narrower), [(narrower[1], narrower[0], UnreachableCause::Same)]);
    let present = ["h ~ ^/a x=", "h ~ ^/a x=1", "h ~ ^/a x=!"];
    assert_eq!(shadows(&present), [(present[1], present[0], UnreachableCause::Same)]);
}

#[test]
fn a_regex_below_a_final_prefix_is_out_of_reach_unless_a_longer_prefix_lets_it_in() {
    let hidden = ["h ^~ /static", "h ~ ^/static/.*png$", "h ~ ^/static", "h ~ png$"];
    assert_eq!(shadows(&hidden), [(hidden[1], hidden[0], UnreachableCause::FinalPrefix)]);
    assert_eq!(shadows(&["h ^~ /static", "h /static/img", "h ~ ^/static/.*png$"]), []);
    assert_eq!(shadows(&["h ^~ /static GET", "h ~ ^/static/.*png$"]), []);
}

#[test]
fn what_comes_after_a_regex_for_every_path_is_out_of_reach() {
    let lines = ["h ~ ^/", "h /a", "h ^~ /b", "h = /c", "h ~ ^/d", "* /"];
    let why = UnreachableCause::CatchAllRegex;
    assert_eq!(shadows(&lines), [(lines[1], lines[0], why), (lines[4], lines[0], why)]);
    assert_eq!(shadows(&["h ~ ^/d", "h ~ ^/"]), []);
}

#[test]
fn a_regex_behind_a_wider_one_is_out_of_reach() {
    let lines = ["h ~ ^/a", "h ~ ^/a/b", "h ~ ^/a/[0-9]+$", "h ~ ^/b", "h ~ /x/.*png$"];
    let why = UnreachableCause::WiderRegex;
    assert_eq!(shadows(&lines), [(lines[1], lines[0], why), (lines[2], lines[0], why)]);
    // Where it looks behind what it takes, where it has conditions of its own, where it comes
    // after, or where it may match elsewhere, nothing is certain.
    for first in ["h ~ ^/a$", "h ~ ^/a\\b", "h ~ ^/a x=1", "h ~ ^/a/b/c", "o ~ ^/a"] {
        assert_eq!(shadows(&[first, "h ~ ^/a/b"]), [], "{first}");
    }
    assert_eq!(shadows(&["h ~ ^/a/b", "h ~ ^/a"]), []);
    assert_eq!(shadows(&["h ~ ^/a", "h ~ /a/b"]), []);
    assert_eq!(shadows(&["h ~ /a", "h ~ x/a/b$"]), [("h ~ x/a/b$", "h ~ /a", why)]);
}

#[test]
fn a_path_that_is_never_normal_and_a_second_root_are_out_of_reach() {
    assert_eq!(
        shadows(&["h /a i", "h /a i", "h /a"]),
        [("h /a i", "h /a i", UnreachableCause::Same)]
    );
    assert_eq!(shadows(&["h ^~ /static", "h /STATIC/img i", "h ~ ^/static/x"]), []);
    let never = ["h /a//b", "h = /a/..", "h = a", "h //*", "h /./a*"];
    assert_eq!(shadows(&never), never.map(|line| (line, "-", UnreachableCause::NoSuchPath)));
    assert_eq!(shadows(&["h = /a/", "h /.*", "h /a/*", "h /..a", "h = /"]), []);
    assert_eq!(shadows(&["h /*", "h /"]), [("h /*", "h /", UnreachableCause::Root)]);
}

fn any_route() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["*", "a.b", "*.b", "*.a.b", "c.a.b"]);
    let path = prop::sample::select(vec![
        "/",
        "/*",
        "/x",
        "/x*",
        "^~ /x",
        "^~ /x*",
        "/x/y",
        "/x/y*",
        "/x/*",
        "^~ /x/y",
        "= /x",
        "= /x/y",
        "= /",
        "~ ^/x",
        "~ y$",
        "~ ^/x/y$",
        "~ ^/",
        "~ [yz]",
        "~ ^/(x|z)",
        "~ z",
        "/xé",
        "/xé*",
        "/X i",
        "/X* i",
        "= /X/y i",
        "^~ /x/y i",
    ]);
    let conditions = prop::sample::select(vec![
        "",
        "",
        "",
        " GET",
        " GET POST",
        " f=",
        " f=!",
        " @a",
        " @a @b",
        " ws",
    ]);
    let more = prop::sample::select(vec!["", "", " f=1", " f=~1", " g=1"]);
    (host, path, conditions, more)
        .prop_map(|(host, path, one, two)| format!("{host} {path}{one}{two}"))
}

fn any_request() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["-", "a.b", "b", "x.b", "c.a.b", "d.a.b", "e.c.a.b"]);
    let path = prop::sample::select(vec![
        "/", "/x", "/xy", "/x/", "/x/y", "/x/yz", "/x/y/z", "/z", "/z/y", "/é", "/xé", "/xé/y",
        "/X", "/x/Y", "/XY", "/X/y/z",
    ]);
    let method = prop::sample::select(vec!["GET", "POST", "PUT"]);
    let fields = prop::sample::select(vec!["", " f=1", " f=2", " f=2 f=1 g=1", " g=1"]);
    let listener = prop::sample::select(vec!["", " @a", " @b", " ws"]);
    (host, path, method, fields, listener).prop_map(|(host, path, method, fields, listener)| {
        format!("{host} {path} {method}{fields}{listener}")
    })
}

proptest! {
    #[test]
    fn the_router_agrees_with_a_list_read_from_top_to_bottom(
        lines in prop::collection::vec(any_route(), 1..24),
        requests in prop::collection::vec(any_request(), 40),
    ) {
        let routes: Vec<_> = lines.iter().map(|line| route(line)).collect();
        let router = Router::build(&routes);
        let unreachable = router.unreachable();
        for request in &requests {
            let (found, told) = ask(request, |query| (router.find(query), router.explain(query)));
            prop_assert_eq!(found, ask(request, |query| reference::find(&routes, query)));
            prop_assert!(unreachable.iter().all(|never| Some(never.route) != found));
            for (index, outcome) in told {
                prop_assert_eq!(outcome == MatchOutcome::Taken, found == Some(index));
            }
        }
    }
}
