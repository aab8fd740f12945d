//! The reference's table of reloads, row by row: a live session goes through a reload that changes
//! one key, and what becomes of it is what the key's `x-reload` says.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::actors::Certificates;
use crate::config;
use crate::live::{Impact, PartChanges};

mod rows;
mod states;

use rows::ROWS;

const BASE: &str = include_str!("applies/base.toml");
const FORCE: ReloadRequest =
    ReloadRequest { force: true, dry_run: false, recheck: false, config: None, if_changed: false };

/// A process whose configuration is text, and the files that it names.
struct Written {
    process: Process,
    dir: TempDir,
    backends: [Backend; 2],
}

impl Written {
    async fn start() -> Written {
        let backends = [Backend::echo("one").await, Backend::echo("two").await];
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            let made = Certificates::new(&["localhost"]);
            let copy =
                |from, to: String| std::fs::copy(made.path().join(from), dir.path().join(to));
            copy("site.pem", format!("{name}.pem")).unwrap();
            copy("site.key", format!("{name}.key")).unwrap();
            std::fs::write(dir.path().join(format!("{name}.crl")), made.revoked()).unwrap();
            let hash = "$2y$05$abcdefghijklmnopqrstuuPZ1d2jzHZ8zZ5uVX6Hq1c6xZ8r7rTqa";
            std::fs::write(dir.path().join(format!("{name}.txt")), name).unwrap();
            let users = dir.path().join(format!("{name}.htpasswd"));
            std::fs::write(users, format!("{name}:{hash}\n")).unwrap();
        }
        let more = "[[routes]]\npath = \"/more\"\nrespond = \"more\"\n";
        std::fs::write(dir.path().join("more.toml"), more).unwrap();
        let first = plan_of(dir.path(), "tidegate.toml", BASE, &backends).unwrap();
        Written { process: Process::start(first), dir, backends }
    }

    fn plan(&self, text: &str) -> Result<Plan, String> {
        plan_of(self.dir.path(), "tidegate.toml", text, &self.backends)
    }

    /// Reloads with this plan, however many sessions that ends.
    async fn reload(&self, plan: Plan) -> Result<Taken, String> {
        match self.process.change_and(FORCE, |next| *next = plan).await {
            Reloaded::Taken(taken) => Ok(*taken),
            other => Err(other.to_string()),
        }
    }
}

fn plan_of(dir: &Path, name: &str, text: &str, backends: &[Backend; 2]) -> Result<Plan, String> {
    let [one, two] = backends.each_ref().map(|backend| backend.address().to_string());
    let text = text.replace("ONE", &one).replace("TWO", &two);
    match config::load_text(&dir.join(name), &text, &|_| None) {
        Ok(loaded) => Ok((*loaded.plan).clone()),
        Err(refused) => Err(refused.report.text(&refused.sources, crate::report::Colour::Plain)),
    }
}

/// A plan without the certificates that the process has made for it.
fn as_written(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for listener in &mut plan.listeners {
        let Some(tls) = &mut Arc::make_mut(listener).tls else { continue };
        let Some(made) = &tls.development else { continue };
        let directory = &made.directory;
        tls.certificates.retain(|one| one.chain.parent() != Some(directory));
    }
    plan
}

/// What is wrong with what a reload did, where the key's word is `applies`.
fn fault(key: &str, applies: &str, taken: &Taken) -> Option<String> {
    let drained = usize::from(applies == "drains");
    let rules = usize::from(applies == "now" && key.starts_with("relay."));
    let told = taken.routes_with_new_rules.min(1);
    let at_start = if applies == "restart" { vec![key] } else { Vec::new() };
    let found = (taken.impact.drained, told, &taken.changes.at_next_start);
    let wanted = (drained, rules, &at_start);
    (found != wanted).then(|| {
        format!("{key} ({applies}): drained, told rules, at next start: {found:?}, not {wanted:?}")
    })
}

#[tokio::test]
async fn every_key_applies_when_the_reference_says() {
    let keys = config::keys_by_reload();
    let unknown = ROWS.iter().map(|(key, ..)| *key).filter(|row| !keys.iter().any(|k| k.0 == *row));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&str>::new(), "rows of keys that there are not");
    let site = Written::start().await;
    let mut session = Some(site.process.session("/chat").await);
    let mut faults = Vec::new();
    for (key, applies) in &keys {
        let Some((_, old, new)) = ROWS.iter().find(|(row, ..)| row == key) else {
            faults.push(format!("{key}: has no row yet; give it one in `applies/rows.rs`"));
            continue;
        };
        assert!(BASE.contains(old), "{key}: `{old}` is not in base.toml");
        let base = site.plan(BASE).unwrap();
        let changed = match site.plan(&BASE.replace(old, new)) {
            Ok(changed) => changed,
            Err(report) => {
                faults.push(format!("{key}: its row cannot be taken: {report}"));
                continue;
            }
        };
        if changed == base {
            faults.push(format!("{key}: its row changes nothing"));
        }
        match site.reload(changed.clone()).await {
            Ok(taken) => faults.extend(fault(key, applies, &taken)),
            Err(refused) => faults.push(format!("{key}: refused: {refused}")),
        }
        let in_force = as_written(&site.process.0.app.live.now().plan);
        assert!(in_force == changed, "{key} is not in force");
        let drained = applies == "drains";
        let mut one = session.take().unwrap();
        if drained {
            assert_eq!(one.ending().await, Ending::Close(1012, "removed".into()), "{key}");
        } else {
            one.echo(key.clone()).await;
            session = Some(one);
        }
        // Back again, which may drain whom the change let in: nobody is there.
        site.reload(base).await.unwrap();
        if drained {
            // Whoever is admitted in the millisecond of the reload may have come before it.
            let told = crate::base::clock::now();
            until("the next millisecond", || crate::base::clock::now() > told).await;
            let mut new = site.process.client("/chat").open().await;
            new.send("hello").await;
            let told = new.next().await;
            assert!(told.is_ok(), "a new session after {key}: {told:?}");
            session = Some(new);
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    drop(session);
}

#[tokio::test]
async fn a_configuration_that_means_the_same_drains_nothing_and_keeps_every_part() {
    let site = Written::start().await;
    let mut session = site.process.session("/chat").await;
    let before = site.process.0.app.live.now();
    // The tables in another order, other spacing, comments, another file.
    let mut tables: Vec<&str> = BASE.split("\n\n").collect();
    tables[1..].reverse();
    let turned = tables.join("\n\n# A word.\n\n").replace(" = ", "   =  ");
    let renamed = plan_of(site.dir.path(), "other.toml", &turned, &site.backends).unwrap();
    let taken = site.reload(renamed).await.unwrap();
    for (kind, part) in taken.changes.parts() {
        let kept = PartChanges { kept: part.kept, ..PartChanges::default() };
        assert!(*part == kept && part.kept > 0, "{kind}: {part:?}");
    }
    assert!(taken.changes.settings.is_empty() && taken.changes.at_next_start.is_empty());
    let nothing = Taken { generation: 2, ..Taken::default() };
    let Taken { config, changes, warnings, .. } = taken.clone();
    let impact = Impact { sessions: 1, ..Impact::default() };
    assert_eq!(taken, Taken { config, changes, warnings, impact, ..nothing });
    let after = site.process.0.app.live.now();
    for (name, pool) in &before.pools {
        assert!(Arc::ptr_eq(pool, &after.pools[name]), "pool {name}");
    }
    for (identity, listener) in &before.listeners {
        assert!(Arc::ptr_eq(listener, &after.listeners[identity]), "{}", listener.plan.name);
    }
    for route in &before.routes {
        let same = |other: &&Arc<_>| Arc::ptr_eq(route, other);
        assert!(after.routes.iter().any(|other| same(&other)), "{}", route.plan.identity);
    }
    session.echo("undisturbed").await;
    drop((session, before));
}

#[tokio::test]
async fn a_named_route_keeps_its_sessions_whatever_else_of_it_changes() {
    let site = Written::start().await;
    let named = BASE.replace("#route", "name = \"chat\"");
    site.reload(site.plan(&named).unwrap()).await.unwrap();
    let mut session = site.process.session("/chat").await;
    let moved = named.replace("path = \"/chat\"", "path = \"/talk\"\nmethods = [\"GET\"]");
    let taken = site.reload(site.plan(&moved).unwrap()).await.unwrap();
    assert_eq!((taken.impact.sessions, taken.impact.drained), (1, 0));
    session.echo("undisturbed").await;
    drop(session);
}

#[tokio::test]
async fn whatever_is_changed_and_changed_back_in_one_window_is_as_if_nothing_was() {
    let site = Written::start().await;
    let slow = |mut plan: Plan| {
        plan.drain.window = Duration::from_secs(3600);
        plan.drain.timeout = Duration::from_secs(7200);
        plan
    };
    let base = slow(site.plan(BASE).unwrap());
    site.reload(base.clone()).await.unwrap();
    let mut session = site.process.session("/chat").await;
    let mut drained = 0;
    for (key, _) in config::keys_by_reload() {
        let Some((_, old, new)) = ROWS.iter().find(|(row, ..)| *row == key) else { continue };
        let Ok(changed) = site.plan(&BASE.replace(old, new)) else { continue };
        drained += site.reload(slow(changed)).await.unwrap().impact.drained;
        let back = site.reload(base.clone()).await.unwrap();
        assert_eq!(back.impact.drained, 0, "{key}");
        until("no drain to be under way", || site.process.0.drains.under_way().is_empty()).await;
        let listed = site.process.0.sessions.list(&crate::registry::Selector::All, 9).await;
        assert!(listed.len() == 1 && listed[0].leaving.is_none(), "{key}: {listed:?}");
        session.echo(key).await;
    }
    assert!(drained > 5, "{drained} were told to go");
    drop(session);
}
