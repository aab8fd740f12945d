//! What two plans say differently, by name: what an operator reads before a reload and after it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::at_start::AtStart;
use crate::config::plan::{Certificate, Listener, Plan};

/// Parts of one kind, by what a reload does to them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct PartChanges {
    /// Those that were not there before.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that say something else than before.
    pub changed: Vec<String>,
    /// How many are as they were.
    pub kept: usize,
}

/// What a new plan says differently.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct PlanChanges {
    /// Routes, by their identity.
    pub routes: PartChanges,
    /// Pools, by their name; one whose backends change changes with them.
    pub pools: PartChanges,
    /// Backends, as `pool/address`.
    pub backends: PartChanges,
    /// Listeners, by their name. One that is renamed at its address has changed.
    pub listeners: PartChanges,
    /// Certificates, by the file of their chain; a renewed one has changed.
    pub certificates: PartChanges,
    /// The tables of the whole process that say something else.
    pub settings: Vec<&'static str>,
    /// Keys that say something else and apply when the process starts anew.
    pub at_next_start: Vec<&'static str>,
}

impl PlanChanges {
    /// Each kind of parts, in reading order.
    pub fn parts(&self) -> [(&'static str, &PartChanges); 5] {
        [
            ("routes", &self.routes),
            ("pools", &self.pools),
            ("backends", &self.backends),
            ("listeners", &self.listeners),
            ("certificates", &self.certificates),
        ]
    }
}

/// Compares two plans.
pub fn compare(old: &Plan, new: &Plan) -> PlanChanges {
    PlanChanges {
        routes: changes(old, new, |plan| {
            plan.routes.iter().map(|route| named(&*route.identity, &**route)).collect()
        }),
        pools: changes(old, new, |plan| {
            plan.pools.iter().map(|pool| named(&*pool.name, &**pool)).collect()
        }),
        backends: changes(old, new, |plan| {
            let pools = plan.pools.iter();
            let of = pools.flat_map(|pool| pool.backends.iter().map(move |one| (pool, one)));
            of.map(|(pool, one)| named(format!("{}/{}", pool.name, one.address), one)).collect()
        }),
        listeners: changes(old, new, |plan| {
            let listeners = plan.listeners.iter();
            listeners.map(|one| (one.identity(), (one.name.to_string(), &**one))).collect()
        }),
        certificates: changes(old, new, |plan| {
            let certificates = plan.listeners.iter().flat_map(|one| certificates(one));
            certificates.map(|one| named(one.chain.display(), one)).collect()
        }),
        settings: settings(old, new),
        at_next_start: AtStart::of(old).differing(new),
    }
}

/// Parts by what they are known by over reloads, with what they are called.
type Parts<'a, K, T> = BTreeMap<K, (String, &'a T)>;

/// A part that is known by what it is called.
fn named<T>(name: impl ToString, part: &T) -> (String, (String, &T)) {
    let name = name.to_string();
    (name.clone(), (name, part))
}

fn certificates(listener: &Listener) -> &[Certificate] {
    listener.tls.as_ref().map_or(&[], |tls| &tls.certificates)
}

fn changes<'a, K: Ord, T: PartialEq + 'a>(
    old: &'a Plan,
    new: &'a Plan,
    parts: impl Fn(&'a Plan) -> Parts<'a, K, T>,
) -> PartChanges {
    let (mut before, mut changes) = (parts(old), PartChanges::default());
    for (known_by, (name, part)) in parts(new) {
        match before.remove(&known_by) {
            None => changes.added.push(name),
            Some((_, was)) if was == part => changes.kept += 1,
            Some(_) => changes.changed.push(name),
        }
    }
    changes.removed = before.into_values().map(|(name, _)| name).collect();
    changes
}

fn settings(old: &Plan, new: &Plan) -> Vec<&'static str> {
    let tables = [
        ("acme", old.acme == new.acme),
        ("limits", old.limits == new.limits),
        ("drain", old.drain == new.drain),
        ("reload", old.reload == new.reload),
        ("upgrade", old.upgrade == new.upgrade),
        ("admin", old.admin == new.admin),
        ("control", old.control == new.control),
        ("log", old.log == new.log),
    ];
    tables.into_iter().filter(|(_, is_equal)| !is_equal).map(|(table, _)| table).collect()
}
