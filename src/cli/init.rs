//! `tidegate init`: a commented configuration for what it is told.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use super::args::Init;
use super::exit::Failure;
use super::output;
use crate::config::{self, NamedFiles};
use crate::report::Colour;

/// How a report calls a file that is refused before it is written.
const NOT_WRITTEN: &str = "what would be written";

/// Prints the file, or writes it where there is none.
pub(super) fn init(asked: &Init) -> Result<(), Failure> {
    let text = text_of(asked);
    // What it was told may be no address, no host or no path: better said now than at the start.
    let environment = &config::process_environment;
    let name = Path::new(NOT_WRITTEN);
    if let Err(refused) = config::load_from(name, text.as_bytes(), environment, NamedFiles::Skip) {
        let report = refused.report.text(&refused.sources, Colour::Plain);
        return Err(Failure::Config(report));
    }
    match &asked.output {
        None => output::print(&text),
        Some(file) => write_new(file, &text),
    }
}

fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let shown = file.display();
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    match opened.and_then(|mut opened| opened.write_all(text.as_bytes())) {
        Ok(()) => {
            eprintln!("wrote `{shown}`; next: tidegate check {shown}");
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Failure::run(format!("`{shown}` is there already, and stays as it is")))
        }
        Err(error) => Err(Failure::run(format!("`{shown}`: {error}"))),
    }
}

/// The whole file.
fn text_of(asked: &Init) -> String {
    let parts = [
        "# `tidegate check` says what is wrong with this file, `tidegate run` runs it, and
# `tidegate reload` takes a change of it without closing a connection.\n"
            .to_owned(),
        certificates(asked),
        listeners(asked),
        pool(asked),
        site(asked),
        admin(asked),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Where certificates are ordered, if they are.
fn certificates(asked: &Init) -> String {
    let Some(email) = &asked.acme else { return String::new() };
    let mut text = format!(
        "[acme]                          # certificates from Let's Encrypt, ordered and renewed\n\
         email = {}\n\
         agree_to_terms = true           # https://letsencrypt.org/repository/\n\
         # directory = \"letsencrypt-staging\"     # to try with: no browser trusts these\n\
         # state = \"/var/lib/tidegate/acme\"      # account, keys, certificates\n",
        quoted(email),
    );
    if asked.hosts.iter().any(|host| host.starts_with("*.")) {
        text.push_str(
            "# For a name with `*.` the authority wants a record in DNS, which a program of yours \
             sets.\n# [acme.dns]\n# hook = [\"/usr/local/bin/dns-hook\"]\n",
        );
    }
    text
}

/// Whether it listens with TLS.
fn has_tls(asked: &Init) -> bool {
    asked.chain.is_some() || asked.acme.is_some()
}

fn listeners(asked: &Init) -> String {
    if asked.acme.is_some() {
        return "[listeners.http]                # leads to https; the authority asks here for its \
                proof\naddress = \"0.0.0.0:80\"\n\n\
                [listeners.https]\naddress = \"0.0.0.0:443\"\n\
                tls.acme = true                 # for the hosts below\n"
            .to_owned();
    }
    let (Some(chain), Some(key)) = (&asked.chain, &asked.key) else {
        return "[listeners.http]\naddress = \"0.0.0.0:8080\"\n\n\
                # TLS and HTTP/2: `tls = \"dev\"` makes a certificate for this machine, and\n\
                # `tls.certificates` names yours.\n# [listeners.https]\n\
                # address = \"127.0.0.1:8443\"\n\
                # tls = \"dev\"\n"
            .to_owned();
    };
    format!(
        "[listeners.http]                # leads to https, see the last route\n\
         address = \"0.0.0.0:80\"\n\n\
         [listeners.https]\naddress = \"0.0.0.0:443\"\n\
         tls.certificates = [{{ chain = {}, key = {} }}]     # read again at each reload\n",
        quoted(chain),
        quoted(key),
    )
}

fn pool(asked: &Init) -> String {
    let backends: Vec<String> = asked.backends.iter().map(|backend| quoted(backend)).collect();
    let mut text = format!("[pools.app]\nbackends = [{}]\n", backends.join(", "));
    if asked.backends.len() > 1 {
        text.push_str(
            "# A session stays with its backend. `sticky` leads a client back to its own by a\n\
             # cookie, as socket.io's long polling needs it:\n\
             # sticky = { secrets = [\"${STICKY_SECRET}\"] }\n",
        );
    }
    text
}

fn site(asked: &Init) -> String {
    let mut text = String::from("[[sites]]\n");
    let hosts: Vec<String> = asked.hosts.iter().map(|host| quoted(host)).collect();
    match &hosts[..] {
        [] => text.push_str("# host = \"example.com\"          # without it, any\n"),
        [one] => _ = writeln!(text, "host = {one}"),
        _ => _ = writeln!(text, "host = [{}]", hosts.join(", ")),
    }
    if has_tls(asked) {
        text.push_str("listener = \"https\"\n");
    }
    text.push_str(
        "allowed_origins = \"same\"        # pages of other sites open no WebSockets with our \
         cookies\n",
    );
    // Where a page and the backends share all paths, what is no file goes to the backends.
    let shared = asked.files.is_some() && asked.path.is_none();
    if !shared {
        text.push_str("\n[[sites.routes]]\n");
        if let Some(path) = &asked.path {
            let path = format!("path = {}", quoted(path));
            _ = writeln!(text, "{path:<32}# this path and everything below it");
        }
        text.push_str("pool = \"app\"                    # plain HTTP and WebSockets alike\n");
        text.push_str(&hold(asked));
    }
    if let Some(files) = &asked.files {
        text.push_str("\n[[sites.routes]]\n");
        if shared {
            _ = writeln!(text, "files = {{ root = {}, fallback = \"pool:app\" }}", quoted(files));
            text.push_str(
                "# What is no file there goes to the backends, and with it all WebSockets.\n",
            );
            text.push_str(&hold(asked));
        } else {
            _ = writeln!(text, "files = {}", quoted(files));
        }
    }
    if has_tls(asked) {
        text.push_str(
            "\n[[routes]]\nlistener = \"http\"\nredirect = \"https://{host}{path}{query}\"\n",
        );
    }
    text
}

/// Where it is operated. Only root may make the socket's default directory, so the socket is beside
/// the file, unless it is a service's, or listens on ports that are root's as well.
fn admin(asked: &Init) -> String {
    let mut text = String::from(
        "[admin]                         # /metrics, /healthz and /readyz on 127.0.0.1:9090\n\n\
         [control]                       # `tidegate status`, `sessions`, `drain`, `upgrade` …\n",
    );
    if !has_tls(asked) && !asked.service {
        text.push_str(
            "socket = \"control.sock\"         # beside this file; without it \
             /run/tidegate/control.sock\n",
        );
    }
    text
}

/// What keeps clients connected, or how it is switched on.
fn hold(asked: &Init) -> String {
    const WHY: &str = "clients stay while a backend that confirms it restarts";
    if asked.hold {
        format!("hold = {{}}                       # {WHY}\n")
    } else {
        format!("# hold = {{}}                     # {WHY}\n")
    }
}

/// A string as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Arguments, Command};
    use clap::Parser;

    fn asked(words: &[&str]) -> Init {
        let words = ["tidegate", "init"].iter().chain(words);
        match Arguments::try_parse_from(words).unwrap().command {
            Command::Init(asked) => asked,
            other => panic!("{other:?}"),
        }
    }

    /// Each way of asking gives a file without a finding, and says what it was told.
    #[test]
    fn whatever_it_is_told_the_file_is_taken_without_a_warning() {
        let tls = ["--chain", "site.pem", "--key", "site.key"];
        let acme = ["--acme", "ops@example.com", "--host", "example.com"];
        let parts: [&[&str]; 7] = [
            &["--backend", "10.0.0.7:9001", "--backend", "unix:/run/app.sock"],
            &["--host", "chat.example.com", "--host", "*.example.org"],
            &["--path", "/socket"],
            &["--files", "/srv/a \"page\""],
            &tls,
            &["--hold"],
            &acme,
        ];
        // A certificate is there or is ordered.
        for chosen in (0..1 << parts.len()).filter(|chosen| chosen & 0b101_0000 != 0b101_0000) {
            let words: Vec<&str> = (0..parts.len())
                .filter(|part| chosen >> part & 1 == 1)
                .flat_map(|part| parts[part].iter().copied())
                .collect();
            let text = text_of(&asked(&words));
            let name = Path::new("tidegate.toml");
            let skip = NamedFiles::Skip;
            let loaded = config::load_from(name, text.as_bytes(), &|_| None, skip).unwrap_or_else(
                |refused| {
                    panic!("{words:?}\n{}", refused.report.text(&refused.sources, Colour::Plain))
                },
            );
            let warnings = loaded.warnings.text(&loaded.sources, Colour::Plain);
            assert_eq!(warnings, "", "{words:?}\n{text}");
            assert_eq!(
                loaded.plan.routes.iter().any(|route| route.hold.is_some()),
                chosen >> 5 & 1 == 1
            );
            assert_eq!(loaded.plan.acme.is_some(), chosen >> 6 == 1);
            assert_eq!(loaded.plan.pools[0].backends.len(), if chosen & 1 == 1 { 2 } else { 1 });
            assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        }
    }

    #[test]
    fn what_it_is_told_wrongly_is_refused_and_a_file_stays_as_it_is() {
        for words in [["--backend", "nowhere"], ["--host", "a b"], ["--path", "~ ("]] {
            let failure = init(&asked(&words)).unwrap_err();
            assert_eq!(failure.code(), Failure::CONFIG, "{words:?}");
            assert!(failure.text().contains("error"), "{}", failure.text());
            assert!(failure.text().contains("--> what would be written:"), "{}", failure.text());
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tidegate.toml");
        let words = ["--output", file.to_str().unwrap()];
        init(&asked(&words)).unwrap();
        let written = std::fs::read_to_string(&file).unwrap();
        assert!(written.ends_with("/run/tidegate/control.sock\n"), "{written}");
        assert!(!text_of(&asked(&["--service"])).contains("socket ="));
        assert!(written.contains("backends = [\"127.0.0.1:3000\"]"), "{written}");
        assert!(init(&asked(&words)).unwrap_err().text().contains("is there already"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    }
}
