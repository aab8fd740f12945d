//! Files of backends, as they are here and now.

use crate::config::plan::{MemberSource, Plan};
use crate::discovery::members_of;
use crate::report::{Diagnostic, Report};

/// Warns of every file of backends that has none: it may be written later, but its name or
/// one of its lines may be wrong as well.
pub(super) fn add_unread(plan: &Plan, findings: &mut Report) {
    for pool in &plan.pools {
        for group in &pool.sources {
            let MemberSource::File(path) = &group.source else { continue };
            let what = match members_of(path) {
                Ok(members) if members.is_empty() => "it names no backend".to_owned(),
                Ok(_) => continue,
                Err(error) => error,
            };
            let said =
                format!("pool `{}` has no backends of `{}`: {what}", pool.name, group.source);
            let hint =
                "a line of it is an address, as `10.0.0.7:3000`; what is written later is found";
            findings.push(Diagnostic::warning("backends", said).hint(hint.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config;
    use crate::report::Colour;

    #[test]
    fn files_of_backends_that_have_none_are_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for (name, text) in
            [("good", "10.0.0.7:3000\n"), ("empty", "# none\n"), ("bad", "a:1\nb\n")]
        {
            fs::write(path(name), text).unwrap();
        }
        let names = ["good", "empty", "bad", "lost"].map(|name| format!("\"file:{name}\""));
        let text = format!(
            "listeners.http.address = \"127.0.0.1:0\"\n[pools.app]\nbackends = [{}]\n\
             [[routes]]\npool = \"app\"\nallowed_origins = \"same\"\n",
            names.join(", ")
        );
        fs::write(path("site.toml"), text).unwrap();
        let loaded = config::load(&path("site.toml"), &|_| None).unwrap();
        let mut findings = Report::default();
        add_unread(&loaded.plan, &mut findings);
        let said = findings.text(&loaded.sources, Colour::Plain);
        assert_eq!(findings.findings.len(), 3, "{said}");
        for what in ["empty`: it names no backend", "bad`: line 2: ", "lost`: the file cannot be"] {
            assert!(said.contains(what), "{what}: {said}");
        }
    }
}
