//! What a `${NAME}` stands for is never shown.

use super::*;

/// A value whose parts no message has by itself.
const VALUE: &str = "tok:S3cr3tZebra/quagga?x=okapi";

/// What would give the value away, in small letters.
const PARTS: [&str; 3] = ["s3cr3tzebra", "quagga", "okapi"];

fn environment(name: &str) -> Option<String> {
    (name == "SECRET").then(|| VALUE.to_owned())
}

#[test]
fn findings_quote_what_was_written_wherever_a_variable_stands() {
    let pool = "[pools.app]\nbackends = [\"127.0.0.1:1\"]\n";
    let route = "[[routes]]\npool = \"app\"\n";
    for text in [
        "[listeners.a]\naddress = \"${SECRET}\"\n",
        "[listeners.a]\naddress = \"x ${SECRET}\"\n",
        "[listeners.a]\ntrusted_proxies = [\"${SECRET}\"]\n",
        "[listeners.a]\ntls = { version_min = \"${SECRET}\" }\n",
        "[listeners.a]\ntls.certificates = { chain = \"${SECRET}\", key = \"${SECRET}\" }\n",
        "[listeners.a]\nlimits = { head_timeout = \"${SECRET}\" }\n",
        "[listeners.a]\nlimits = { head_bytes_max = \"${SECRET}\" }\n",
        "[listeners.a]\nlimits = { headers_max = \"${SECRET}\" }\n",
        "[listeners.a]\nlimits = \"${SECRET}\"\n",
        "[pools.b]\nbackends = [\"${SECRET}\"]\n",
        "[pools.b]\nbackends = [\"http://${SECRET}\"]\n",
        "[pools.b]\nbackends = [\"unix:${SECRET}\", \"unix:${SECRET}\"]\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\nhash = \"${SECRET}\"\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\nbalance = \"${SECRET}\"\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\nhandshake_rate_max = \"${SECRET}\"\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\nretry.budget = \"${SECRET}\"\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\nsource_addresses = \"${SECRET}\"\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\ntls = { ca = \"${SECRET}\" }\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\ntls = { server_name = \"${SECRET} x\" }\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\nsticky = { secrets = \"${SECRET}\" }\n",
        "[pools.b]\nbackends = [\"127.0.0.1:1\"]\nsticky = { cookie = \"${SECRET}\" }\n",
        "[[routes]]\npool = \"${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nhost = \"${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nhost = \"*.${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\npath = \"${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\npath = \"~ (${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\npath = \"/x\"\nname = \"a ${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nmethods = \"${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nlistener = \"${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nallowed_origins = \"${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nallowed_origins = \"https://${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nheaders = { X-A = \"~ (${SECRET}\" }\n",
        "[[routes]]\npool = \"app\"\nrequest_headers.set = { X-A = \"\\u0001${SECRET}\" }\n",
        "[[routes]]\npool = \"app\"\nrequest_headers.remove = \"${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nwebsocket = \"${SECRET}\"\n",
        "[[routes]]\npool = \"app\"\nstrip_prefix = \"${SECRET}\"\n",
        "[[routes]]\nfiles = \"${SECRET}\"\n",
        "[[routes]]\nfiles = { root = \".\", index = \"/${SECRET}\" }\n",
        "[[routes]]\nredirect = \"{${SECRET}}\"\n",
        "[[routes]]\nredirect = \" ${SECRET}\"\n",
        "[[routes]]\nrespond = { body = \"x\", content_type = \"\\u0001${SECRET}\" }\n",
        "[[routes]]\nrespond = \"x\"\nmethods = \"GET\"\nhost = \"a.example\"\n[[routes]]\n\
         respond = \"x\"\nname = \"${SECRET}\"\n[[routes]]\nrespond = \"x\"\n\
         name = \"${SECRET}\"\n",
        "[log]\nfilter = \"x=${SECRET}\"\n",
        "[log]\nquery = \"${SECRET}\"\n",
        "[admin]\naddress = \"${SECRET}\"\n",
        "include = \"${SECRET}\"\n",
    ] {
        let top = text.starts_with("include");
        let whole =
            if top { format!("{text}{pool}{route}") } else { format!("{pool}{route}{text}") };
        let said = match load_text(Path::new("x.toml"), &whole, &environment) {
            Ok(loaded) => loaded.warnings.json(&loaded.sources),
            Err(refused) => refused.report.json(&refused.sources),
        };
        let folded = said.to_ascii_lowercase();
        let shown: Vec<_> = PARTS.iter().filter(|part| folded.contains(**part)).collect();
        assert!(shown.is_empty(), "{shown:?} of {text}:\n{said}");
    }
}

#[test]
fn what_was_written_stands_where_the_value_would() {
    let text = "[pools.app]\nbackends = [\"http://${SECRET}\"]\n";
    let refused = load_text(Path::new("x.toml"), text, &environment).unwrap_err();
    let said = refused.report.text(&refused.sources, Colour::Plain);
    assert!(said.contains("and a path, not: `http://${SECRET}`"), "{said}");
    assert!(!format!("{refused:?}").contains("S3cr3t"));
}
