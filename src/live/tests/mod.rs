//! What is reused, what changes, and that nothing old stays alive.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::clock;
use crate::config::plan::Plan;
use crate::observe::metrics::Metrics;
use crate::registry::Selector;

pub(crate) mod plan;
use plan::{listener, plan, pool, remove_cookies, respond, route, rules, to_pool};

fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

/// A page and two chats, each with a pool of two.
fn site() -> Plan {
    plan(
        &[pool("one", &[1001, 1002]), pool("two", &[2001, 2002])],
        &[
            route("/", respond("page")),
            route("/one", to_pool("one")),
            route("/two", to_pool("two")),
        ],
    )
}

/// The snapshots of a plan and of the plan after it.
fn reload(before: Plan, after: Plan) -> (Snapshot, Snapshot) {
    let metrics = Metrics::new(1);
    let old = build(Arc::new(before), None, &metrics).unwrap();
    let new = build(Arc::new(after), Some(&old), &metrics).unwrap();
    (old, new)
}

/// A copy of the plan with one route changed.
fn with_route(
    plan: &Plan,
    index: usize,
    change: impl FnOnce(&mut crate::config::plan::Route),
) -> Plan {
    let mut changed = plan.clone();
    change(Arc::make_mut(&mut changed.routes[index]));
    changed
}

#[test]
fn an_equal_plan_gives_the_same_parts() {
    let (old, new) = reload(site(), site());
    for (one, other) in old.routes.iter().zip(&new.routes) {
        assert!(Arc::ptr_eq(one, other), "{}", one.plan.identity);
    }
    for (one, other) in old.pools.values().zip(new.pools.values()) {
        assert!(Arc::ptr_eq(one, other));
    }
    for (one, other) in old.listeners.values().zip(new.listeners.values()) {
        assert!(Arc::ptr_eq(one, other));
    }
    assert_eq!((old.generation, new.generation), (1, 2));
    let changes = diff(&old, &new, clock::now());
    assert!(changes.drained().is_none() && changes.rules.is_empty());
    assert!(changes.listeners_added.is_empty());
}

#[test]
fn a_route_is_itself_wherever_it_stands() {
    let mut turned = site();
    turned.routes.reverse();
    let (old, new) = reload(site(), turned);
    assert!(Arc::ptr_eq(&old.routes[0], &new.routes[2]));
    assert!(diff(&old, &new, clock::now()).drained().is_none());
}

#[test]
fn routes_of_equal_rules_share_them() {
    let (old, new) = reload(site(), with_route(&site(), 2, remove_cookies));
    assert!(Arc::ptr_eq(&old.routes[0].rules, &old.routes[1].rules));
    assert!(!Arc::ptr_eq(&old.routes[2], &new.routes[2]));
    assert!(Arc::ptr_eq(&old.routes[2].rules, &new.routes[2].rules));
    assert!(Arc::ptr_eq(&old.routes[2].cells, &new.routes[2].cells));
    assert!(diff(&old, &new, clock::now()).rules.is_empty());
}

#[test]
fn changed_rules_are_told_to_the_sessions_of_their_route_only() {
    let (old, new) = reload(
        site(),
        with_route(&site(), 1, |route| {
            let idle_timeout = Some(Duration::from_secs(9));
            route.rules = Arc::new(crate::config::plan::Rules { idle_timeout, ..rules() });
        }),
    );
    let changes = diff(&old, &new, clock::now());
    assert!(changes.drained().is_none());
    let told: Vec<_> = changes.rules.iter().collect();
    assert_eq!(told, [(&name("/one"), &new.routes[1].rules)]);
}

#[test]
fn what_is_removed_is_drained_and_nothing_else() {
    let mut less = site();
    less.routes.remove(2);
    less.pools.remove(1);
    Arc::make_mut(&mut less.pools[0]).backends.remove(1);
    let (old, new) = reload(site(), less);
    let changes = diff(&old, &new, clock::now());
    assert_eq!(changes.routes_removed, [name("/two")]);
    assert_eq!(changes.pools_removed, [name("two")]);
    assert_eq!(changes.backends_removed, [(name("one"), name("127.0.0.1:1002"))]);
    let Some(Selector::AnyOf(who)) = changes.drained() else { panic!("no session is drained") };
    assert_eq!(who.len(), 3);
    assert!(Arc::ptr_eq(&old.routes[0], &new.routes[0]));
}

#[test]
fn a_backend_that_stays_is_the_same_in_a_changed_pool() {
    let mut more = site();
    let extra = pool("one", &[1003]).backends;
    Arc::make_mut(&mut more.pools[0]).backends.extend(extra);
    let (old, new) = reload(site(), more);
    let (one, other) = (&old.pools["one"], &new.pools["one"]);
    assert!(!Arc::ptr_eq(one, other));
    assert!(Arc::ptr_eq(&one.backends()[0], &other.backends()[0]));
    // Its route is not the same, for it must find the new pool, but no session is drained.
    assert!(!Arc::ptr_eq(&old.routes[1], &new.routes[1]));
    assert!(diff(&old, &new, clock::now()).drained().is_none());
}

#[test]
fn a_route_that_goes_elsewhere_keeps_its_sessions_where_they_are() {
    for action in [to_pool("two"), respond("gone")] {
        let (old, new) = reload(site(), with_route(&site(), 1, |route| route.action = action));
        let changes = diff(&old, &new, clock::now());
        assert!(changes.drained().is_none() && changes.rules.is_empty());
    }
}

#[test]
fn listeners_come_and_go_by_their_address() {
    let mut other = site();
    other.listeners = vec![Arc::new(listener("renamed", 80)), Arc::new(listener("alt", 8080))];
    let (old, new) = reload(site(), other.clone());
    let changes = diff(&old, &new, clock::now());
    assert_eq!(changes.listeners_added.len(), 1);
    assert_eq!(changes.listeners_added[0].plan.name, name("alt"));
    assert!(changes.listeners_removed.is_empty() && changes.drained().is_none());
    let [renamed, added] = [("renamed", 80), ("alt", 8080)]
        .map(|(called, port)| (listener(called, port).identity(), name(called)));
    assert_eq!(changes.listeners_renamed, [renamed, added].into());
    let changes = diff(&new, &old, clock::now());
    assert_eq!(changes.listeners_removed[0].plan.name, name("alt"));
}

#[test]
fn listeners_whose_port_the_system_chooses_are_told_apart_by_their_names() {
    let mut two = site();
    two.listeners = vec![Arc::new(listener("one", 0)), Arc::new(listener("two", 0))];
    let (old, new) = reload(two.clone(), two);
    assert_eq!(old.listeners.len(), 2);
    for (one, other) in old.listeners.values().zip(new.listeners.values()) {
        assert!(Arc::ptr_eq(one, other));
    }
}

#[test]
fn no_snapshot_stays_alive_after_a_thousand_reloads() {
    let metrics = Metrics::new(1);
    let live = Live::new(Arc::new(build(Arc::new(site()), None, &metrics).unwrap()));
    let route = Arc::clone(&live.now().routes[1]);
    for generation in 2..=1000 {
        let changed = with_route(&site(), 2, |route| {
            route.action = respond(&generation.to_string());
        });
        let next = build(Arc::new(changed), Some(&live.now()), &metrics).unwrap();
        live.swap(Arc::new(next));
    }
    assert_eq!(live.now().generation, 1000);
    assert_eq!(live.now().alive(), 1);
    assert!(Arc::ptr_eq(&route, &live.now().routes[1]));
}

#[test]
fn a_pool_that_is_not_there_is_named() {
    let plan = plan(&[], &[route("/one", to_pool("one"))]);
    let error = build(Arc::new(plan), None, &Metrics::new(1)).err().unwrap();
    assert_eq!(error.to_string(), "route `/one` goes to a pool that is not there: `one`");
}
