//! Reloads that are not taken: each change of a configuration, refused in each way, and the process
//! is what it was: its metrics, its files, what it watches, and the limits in force.

use std::net::TcpListener;

use crate::actors::free;
use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic;

/// What the others are a change of.
const BASE: &str = r#"
#top
[drain]
window = "1s"
#drain
[reload]
watch = true
debounce = "10m"
drain_max = "0%"
[limits]
keys_max = 1000
#limits
[pools.one]
backends = ["ONE"]
#pool
[access.office]
allow = ["127.0.0.0/8"]
[[routes]]
path = "/one"
pool = "one"
#route
[[routes]]
path = "/files"
files = "."
#end
"#;

/// What is changed, into what.
const CHANGES: &[(&str, &str, &str)] = &[
    ("a limit of a pool", "#pool", "handshakes_in_flight_max = 1\nrequests_in_flight_max = 1"),
    ("another limit of a pool", "#pool", "sessions_max = 1"),
    ("a queue", "#route", "hold = { resume = \"always\", queue_max = 1 }"),
    ("limits of the process", "#limits", "silent_max = 1\nhold_bytes_max = \"1MiB\""),
    ("more limits", "keys_max = 1000", "keys_max = 1\nconnections_max = 2"),
    ("a backend", "[\"ONE\"]", "[\"ONE\", \"127.0.0.1:9\"]"),
    ("a pool", "#end", "[pools.two]\nbackends = [\"127.0.0.1:9\"]"),
    ("a route", "#end", "[[routes]]\npath = \"/new\"\nrespond = \"new\""),
    ("a rule", "#end", "[access.lab]\nallow = [\"10.0.0.0/8\"]"),
    ("a route's rule", "#route", "access = \"office\""),
    ("limits of a route", "#route", "limits.requests = { rate = \"1/m\", key = \"client\" }"),
    ("a listener", "#end", "[listeners.new]\naddress = \"FREE\""),
    ("a certificate", "#end", NEW_TLS),
    ("a file of another directory", "#top", "include = [\"more/*.toml\"]"),
    ("the log", "#top", "log.filter = \"trace\"\nlog.queue_bytes_max = \"64KiB\""),
    ("the drain", "#drain", "rate_max = \"1/s\""),
    ("the watch", "watch = true", "watch = false"),
];

const NEW_TLS: &str = "[listeners.new]\naddress = \"FREE\"\n\
    tls.certificates = [{ chain = \"chain.pem\", key = \"key.pem\" }]";

/// How a change is refused.
#[derive(Clone, Copy, Debug)]
enum Refused {
    /// It was only asked what it would do.
    Dry,
    /// The file is none.
    Syntax,
    /// An address is taken.
    Address,
    /// It would end a session.
    Drain,
}

/// What a process has and says of itself, but for what each moment or each reload changes.
#[derive(Clone)]
struct Observed {
    metrics: Vec<String>,
    files: Vec<String>,
    watches: Vec<String>,
}

impl Observed {
    fn of(proxy: &Proxy) -> Observed {
        let (_, page) = proxy.get("/metrics").unwrap();
        let changes =
            ["_reloads", "_config_last", "process_", "_files", "_ping_seconds", "_bytes_total"];
        let lasts = |line: &&str| !changes.iter().any(|name| line.contains(name));
        let metrics = page.lines().skip_while(|line| !line.is_empty()).filter(lasts);
        let (mut files, mut watches) = (Vec::new(), Vec::new());
        let of = format!("/proc/{}", proxy.pid());
        for file in std::fs::read_dir(format!("{of}/fd")).unwrap().flatten() {
            let Ok(to) = file.path().read_link() else { continue };
            let to = to.display().to_string();
            if to.contains("inotify") {
                let number = file.file_name().into_string().unwrap();
                let text = std::fs::read_to_string(format!("{of}/fdinfo/{number}")).unwrap();
                // Which directory, not the number of the watch.
                let inode = |line: &str| {
                    line.split(' ').find(|part| part.starts_with("ino:")).map(str::to_owned)
                };
                watches.extend(text.lines().filter_map(inode));
            }
            files.push(to);
        }
        files.sort();
        watches.sort();
        Observed { metrics: metrics.map(str::to_owned).collect(), files, watches }
    }
}

impl Observed {
    /// What only one of both has.
    fn differs_from(&self, other: &Observed) -> Vec<String> {
        let pairs = [
            (&self.metrics, &other.metrics),
            (&self.files, &other.files),
            (&self.watches, &other.watches),
        ];
        let only = |one: &[String], in_the_other: &[String], sign: &str| -> Vec<String> {
            let mut left = in_the_other.to_vec();
            let is_new = |line: &&String| match left.iter().position(|other| other == *line) {
                Some(at) => {
                    left.swap_remove(at);
                    false
                }
                None => true,
            };
            one.iter().filter(is_new).map(|line| format!("{sign} {line}")).collect()
        };
        let both = |(now, before): (&Vec<String>, &Vec<String>)| {
            [only(now, before, "+"), only(before, now, "-")].concat()
        };
        pairs.into_iter().flat_map(both).collect()
    }
}

#[tokio::test]
async fn a_reload_that_is_not_taken_leaves_everything_as_it_was() {
    let one = Backend::start();
    let base = BASE.replace("ONE", &one.address);
    let proxy = Proxy::start(&base).await;
    std::fs::create_dir(proxy.path("more")).unwrap();
    let session = traffic::open(&proxy.plain, "/one").await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = format!("[listeners.busy]\naddress = \"{}\"\n", taken.local_addr().unwrap());
    let mut before = Observed::of(&proxy);
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let later = Observed::of(&proxy);
        if later.differs_from(&before).is_empty() {
            break;
        }
        before = later;
    }
    for (what, old, new) in CHANGES {
        let own =
            |text: &str| text.replace("ONE", &one.address).replace("FREE", &free().to_string());
        assert!(base.contains(&own(old)), "{what}");
        let changed = base.replace(&own(old), &own(new));
        for refused in [Refused::Dry, Refused::Syntax, Refused::Address, Refused::Drain] {
            let (text, flags) = match refused {
                Refused::Dry => (changed.clone(), &["--dry-run"][..]),
                Refused::Syntax => (changed.clone() + "[[routes]\n", &[][..]),
                Refused::Address => (changed.clone() + &busy, &["--force"][..]),
                Refused::Drain => (changed.replace("\"/one\"", "\"/other\""), &[][..]),
            };
            let watched = match refused {
                Refused::Dry => Observed::of(&proxy).watches,
                _ => before.watches.clone(),
            };
            proxy.configure(&text);
            let (code, said) = proxy.reload(flags);
            let is_dry = matches!(refused, Refused::Dry);
            assert_eq!(code == 0, is_dry, "{what}, {refused:?}: {said}");
            proxy.configure(&base);
            // What a refused file names is watched too, so that its repair is seen.
            let is_left = |line: &String| is_dry || !line.starts_with("+ ino:");
            let differs = || -> Vec<String> {
                let before = Observed { watches: watched.clone(), ..before.clone() };
                let differs = Observed::of(&proxy).differs_from(&before);
                differs.into_iter().filter(is_left).collect()
            };
            // A connection of the command, or of a look, may not be closed yet.
            let mut left = differs();
            for _ in 0..200 {
                if left.is_empty() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                left = differs();
            }
            assert!(left.is_empty(), "{what}, {refused:?}: {left:#?}");
        }
    }
    drop(session);
}
