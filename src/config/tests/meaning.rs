use super::*;

use std::time::Duration;

use crate::config::plan::{Action, HostPattern, PathPattern, Route, RouteChanges};

const HEAD: &str = "\
listeners.http.address = \"0.0.0.0:80\"
pools.app.backends = [\"127.0.0.1:8080\"]
";

fn load_with(text: &str, environment: Environment<'_>) -> Result<Loaded, String> {
    let text = format!("{HEAD}{text}");
    load_text(Path::new("x.toml"), &text, environment)
        .map_err(|refused| refused.report.text(&refused.sources, Colour::Plain))
}

fn taken(text: &str) -> Loaded {
    load_with(text, &nothing).unwrap_or_else(|report| panic!("{report}"))
}

fn identities(loaded: &Loaded) -> Vec<&str> {
    loaded.plan.routes.iter().map(|route| &*route.identity).collect()
}

fn route(loaded: &Loaded, index: usize) -> &Route {
    &loaded.plan.routes[index]
}

#[test]
fn a_file_that_says_nothing_more_has_every_default() {
    let loaded = taken("[[routes]]\npool = \"app\"\n");
    let plan = &loaded.plan;
    assert_eq!(
        (plan.drain.delay, plan.drain.window),
        (Duration::from_secs(5), Duration::from_secs(15))
    );
    assert_eq!(plan.drain.timeout, Duration::from_secs(25));
    assert_eq!((plan.reload.watch, plan.reload.drain_max_percent), (false, 10));
    assert!(plan.admin.is_none() && plan.control.is_none() && plan.workers >= 1);
    assert_eq!(plan.limits.connections_per_address_max, None);
    let rules = &route(&loaded, 0).rules;
    assert_eq!(rules.ping_interval, Some(Duration::from_secs(30)));
    assert_eq!(rules.pong_timeout, Duration::from_secs(20));
    assert_eq!(
        (rules.idle_timeout, rules.max_lifetime, rules.message_bytes_max),
        (None, None, None)
    );
    assert_eq!(rules.validation, plan::Validation::Strict);
    assert_eq!(plan.pools[0].balance, plan::Balance::LeastSessions);
    assert_eq!(plan.files, [PathBuf::from("x.toml")]);
    // One warning only: nothing says whose pages may open WebSockets.
    let codes: Vec<_> = loaded.warnings.findings.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["origins"]);
}

#[test]
fn what_is_not_written_is_the_default_in_the_plan() {
    let loaded = taken("[[routes]]\npool = \"app\"\nhold = {}\n");
    assert_eq!(*route(&loaded, 0).rules, plan::Rules::default());
    let plan = &loaded.plan;
    assert_eq!(plan.limits, plan::Limits::default());
    assert_eq!(plan.drain, plan::Drain::default());
    assert_eq!(plan.reload, plan::Reload::default());
    assert_eq!(plan.upgrade, plan::Upgrade::default());
    assert_eq!(plan.log, plan::Log::default());
    assert_eq!(plan.listeners[0].limits, plan::ListenerLimits::default());
    let pool = &plan.pools[0];
    assert_eq!(**pool, plan::Pool::new("app", pool.backends.clone()));
    assert_eq!(pool.backends, [plan::Backend::new(pool.backends[0].address.clone())]);
}

#[test]
fn a_table_that_is_present_is_a_feature_that_is_on() {
    let plan = taken("[admin]\n[control]\n[[routes]]\npool = \"app\"\n").plan;
    assert_eq!(plan.admin.as_ref().unwrap().address, "127.0.0.1:9090".parse().unwrap());
    assert_eq!(plan.control.as_ref().unwrap().socket, Path::new("/run/tidegate/control.sock"));
}

#[test]
fn a_route_takes_what_it_does_not_say_from_relay() {
    let loaded = taken(
        "[relay]\nidle_timeout = \"1h\"\nping_interval = \"10s\"\n\
         close_codes = { stop = 4000, drain = 4001 }\n\
         [[routes]]\npool = \"app\"\n\
         [[routes]]\npath = \"/a\"\npool = \"app\"\n\
         relay = { idle_timeout = false, close_codes = { drain = 4002 } }\n",
    );
    let (first, second) = (&route(&loaded, 0).rules, &route(&loaded, 1).rules);
    assert_eq!(first.idle_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(second.idle_timeout, None);
    assert_eq!(second.ping_interval, Some(Duration::from_secs(10)));
    let codes = |word| (first.close_codes.get(word), second.close_codes.get(word));
    assert_eq!(codes("stop"), (Some(4000), Some(4000)));
    assert_eq!(codes("drain"), (Some(4001), Some(4002)));
}

#[test]
fn a_route_holds_and_queues_only_when_it_says_so() {
    let loaded = taken(
        "[[routes]]\npool = \"app\"\n\
         [[routes]]\npath = \"/a\"\npool = \"app\"\nhold = {}\n\
         [[routes]]\npath = \"/b\"\npool = \"app\"\n\
         hold = { lost_codes = 4000, replay_first = 2, swallow_first = 1, queue_max = 0 }\n",
    );
    assert_eq!((&route(&loaded, 0).hold, route(&loaded, 0).queue), (&None, None));
    let hold = route(&loaded, 1).hold.as_ref().unwrap();
    assert_eq!((hold.timeout, hold.buffer_bytes_max), (Duration::from_secs(30), 256 << 10));
    assert_eq!(hold.lost_codes, [1001, 1012, 1013]);
    assert_eq!((hold.replay_first, hold.swallow_first), (0, 0));
    assert_eq!(route(&loaded, 1).queue.unwrap().handshakes_max, 1024);
    let hold = route(&loaded, 2).hold.as_ref().unwrap();
    assert_eq!((&*hold.lost_codes, hold.replay_first, hold.swallow_first), (&[4000][..], 2, 1));
    assert_eq!(route(&loaded, 2).queue, None);
    assert_eq!(loaded.plan.limits.hold_bytes_max, 256 << 20);
}

#[test]
fn equal_rules_are_one_value() {
    let loaded = taken("[[routes]]\npath = \"/a\"\npool = \"app\"\n[[routes]]\npool = \"app\"\n");
    assert!(Arc::ptr_eq(&route(&loaded, 0).rules, &route(&loaded, 1).rules));
}

#[test]
fn a_route_is_known_by_its_name_or_its_condition_never_by_its_place() {
    let one = "[[routes]]\nhost = \"A.example.\"\npath = \"/x/\"\npool = \"app\"\n";
    let two = "[[routes]]\nname = \"two\"\npath = \"/y\"\npool = \"app\"\n";
    assert_eq!(identities(&taken(&format!("{one}{two}"))), ["a.example/x", "two"]);
    assert_eq!(identities(&taken(&format!("{two}{one}"))), ["two", "a.example/x"]);
}

#[test]
fn an_identity_does_not_depend_on_how_the_condition_was_written() {
    let one = "[[routes]]\npath = \"/chat/\"\nmethods = [\"POST\", \"GET\"]\npool = \"app\"\n\
               listener = \"http\"\nheaders = { X-B = true, X-A = false, X-C = \"~ 1\" }\n";
    let other = "[[routes]]\nheaders = { x-a = false, x-c = \"~1\", x-b = true }\n\
                 path = \"/chat\"\nlistener = [\"http\"]\n\
                 methods = [\"GET\", \"POST\"]\nrespond = \"\"\n";
    let expected = ["*/chat GET,POST @http !x-a x-b x-c~1"];
    assert_eq!(identities(&taken(one)), expected);
    assert_eq!(identities(&taken(other)), expected);
}

#[test]
fn a_route_with_a_list_of_hosts_is_one_route_per_host() {
    let loaded = taken(
        "[[routes]]\nname = \"chat\"\nhost = [\"a.example\", \"*.b.example\"]\npool = \"app\"\n\
         [[routes]]\nhost = [\"c.example\", \"d.example\"]\npool = \"app\"\n\
         [[routes]]\nname = \"list\"\nhost = [\"e.example\"]\npool = \"app\"\n",
    );
    let expected =
        ["chat@a.example", "chat@*.b.example", "c.example/", "d.example/", "list@e.example"];
    assert_eq!(identities(&loaded), expected);
    assert_eq!(route(&loaded, 1).host, HostPattern::Wildcard("b.example".into()));
    let places: Vec<_> =
        loaded.route_spans.iter().map(|span| loaded.sources.place(*span)).collect();
    assert_eq!(places, ["x.toml:3:1", "x.toml:3:1", "x.toml:7:1", "x.toml:7:1", "x.toml:10:1"]);
}

#[test]
fn short_forms_are_tables_with_their_first_key() {
    let loaded = taken(
        "[[routes]]\npath = \"= /a\"\nredirect = \"/b\"\n\
         [[routes]]\npath = \"/c\"\nrespond = \"gone\"\n\
         [[routes]]\nmethods = \"GET\"\nfiles = \".\"\n",
    );
    let Action::Redirect(redirect) = &route(&loaded, 0).action else { panic!() };
    assert_eq!((redirect.to.fixed(), redirect.status.as_u16()), (Some("/b"), 307));
    let Action::Respond(respond) = &route(&loaded, 1).action else { panic!() };
    assert_eq!((&*respond.page.body, respond.status.as_u16()), (&b"gone"[..], 200));
    let Action::Files(files) = &route(&loaded, 2).action else { panic!() };
    assert_eq!((&*files.index, files.strip_prefix), ("index.html", false));
    assert!(matches!(&route(&loaded, 0).path, PathPattern::Exact(path) if &**path == "/a"));
}

#[test]
fn origins_are_brought_into_the_form_browsers_send() {
    let loaded = taken(
        "[[routes]]\npool = \"app\"\nallowed_origins = [\n\
         \"HTTPS://Example.com:443\", \"http://a:8080\", \"https://*.b.c\", \"null\"]\n",
    );
    let origins = route(&loaded, 0).allowed_origins.clone().unwrap();
    let origins: Vec<&str> = origins.listed.iter().map(|origin| &**origin).collect();
    assert_eq!(origins, ["https://example.com", "http://a:8080", "https://*.b.c", "null"]);
}

#[test]
fn variables_come_from_the_environment_and_a_missing_one_is_shown_where_it_is_used() {
    let environment = |name: &str| (name == "PORT").then(|| "8081".to_owned());
    let text = "[pools.two]\nbackends = [\"127.0.0.1:${PORT}\"]\n[[routes]]\npool = \"two\"\n\
                [[routes]]\npath = \"/x\"\npool = \"app\"\n\
                request_headers.set.X-Cost = \"$${{PORT}\"\n";
    let loaded = load_with(text, &environment).unwrap();
    assert_eq!(loaded.plan.pools[1].backends[0].address.to_string(), "127.0.0.1:8081");
    let RouteChanges::Fixed(changes) = &route(&loaded, 1).request_headers else { panic!() };
    assert_eq!(changes.set[0].1, "${PORT}");
    let refused = load_with(text, &nothing).unwrap_err();
    assert!(refused.contains("is not set: `PORT`"), "{refused}");
    assert!(refused.contains("x.toml:4:24"), "{refused}");
}

proptest::proptest! {
    /// Whatever is typed is answered, at places that are in the file.
    #[test]
    fn a_damaged_file_is_answered_and_never_a_panic(
        from in 0_usize..5_000,
        length in 0_usize..40,
        put in "[a-z0-9 =\"'\\[\\]{}$.,\n#é\\\\-]{0,12}",
    ) {
        let mut text = fs::read_to_string(root().join("config/full.toml")).unwrap();
        let start = text.floor_char_boundary(from);
        let end = text.floor_char_boundary(start + length);
        text.replace_range(start..end, &put);
        let refused = load_text(Path::new("x.toml"), &text, &nothing).unwrap_err();
        for finding in &refused.report.findings {
            let Some(span) = finding.span else { continue };
            proptest::prop_assert!(span.start <= span.end && span.end as usize <= text.len());
        }
        refused.report.text(&refused.sources, Colour::Ansi);
        refused.report.json(&refused.sources);
    }
}

#[test]
fn a_route_has_what_its_site_says_unless_it_says_so_itself() {
    let loaded = taken(
        "listeners.inner.address = \"127.0.0.1:81\"
        access.office.allow = [\"10.0.0.0/8\"]
        [[routes]]
        path = \"/of-none\"
        pool = \"app\"
        [[sites]]
        host = \"a.example\"
        listener = \"http\"
        access = \"office\"
        allowed_origins = \"same\"
        request_headers.set.X-Site = \"a\"
        response_headers.set.X-Site = \"a\"
        [[sites.routes]]
        path = \"/socket\"
        pool = \"app\"
        [[sites.routes]]
        path = \"/open\"
        pool = \"app\"
        host = [\"b.example\", \"c.example\"]
        listener = \"inner\"
        access = false
        allowed_origins = \"any\"
        response_headers.remove = \"Server\"
        [[sites.routes]]
        redirect = \"/socket\"
        [[sites]]
        [[sites.routes]]
        host = \"d.example\"
        respond = \"d\"
        ",
    );
    assert_eq!(loaded.warnings.findings.len(), 1, "of the route without a site: {loaded:?}");
    let socket = route(&loaded, 1);
    assert_eq!(socket.host, HostPattern::Exact("a.example".into()));
    assert_eq!(socket.listeners, ["http".into()]);
    assert!(socket.access.is_some() && socket.allowed_origins.is_some());
    let of_site = |changes: &RouteChanges| format!("{changes:?}").to_lowercase().contains("x-site");
    assert!(of_site(&socket.request_headers) && of_site(&socket.response_headers));
    let open = [route(&loaded, 2), route(&loaded, 3)];
    assert_eq!(open[1].host, HostPattern::Exact("c.example".into()));
    for open in open {
        assert_eq!(open.listeners, ["inner".into()]);
        assert!(open.access.is_none() && open.allowed_origins.is_none());
        assert!(!of_site(&open.response_headers), "the route's own table, whole");
    }
    let redirect = route(&loaded, 4);
    assert_eq!(redirect.host, HostPattern::Exact("a.example".into()));
    assert!(redirect.access.is_some() && !of_site(&redirect.request_headers));
    assert_eq!(route(&loaded, 5).host, HostPattern::Exact("d.example".into()));
    assert!(route(&loaded, 0).access.is_none());
}

#[test]
fn what_is_wrong_in_a_site_is_told_once_at_its_place() {
    let report = load_with(
        "[[sites]]
        host = \"a b\"
        access = \"nobody\"
        [[sites.routes]]
        path = \"/x\"
        pool = \"app\"
        [[sites.routes]]
        path = \"/y\"
        pool = \"ap\"
        [[sites]]
        host = \"c.example\"
        [[sites]]
        routes = 3
        ",
        &nothing,
    )
    .unwrap_err();
    let told = |said: &str| assert_eq!(report.matches(said).count(), 1, "{said}: {report}");
    told("no access rule has this name: `nobody`");
    told("x.toml:4:");
    told("no pool has this name: `ap`");
    told("this site has no route");
    told("`routes` must be");
}
