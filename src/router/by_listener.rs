//! Routes that no listener can reach: on each, another one takes all their requests.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::plan::{HostPattern, Route};

use super::conditions::{self, implies};
use super::rank::same_place;

/// The routes that come in by several listeners, and on each of them stand behind another with the
/// same host and path that takes all that they would; with the first of those others. What one
/// route does on all listeners, [`Router::unreachable`](super::Router::unreachable) finds.
pub fn taken_on_every_listener(
    routes: &[Arc<Route>],
    listeners: &[Arc<str>],
) -> Vec<(usize, usize)> {
    let mut places: HashMap<(&HostPattern, String), Vec<usize>> = HashMap::new();
    for (index, route) in routes.iter().enumerate() {
        places.entry((&route.host, route.path.to_string())).or_default().push(index);
    }
    let crowded = places.into_values().filter(|place| place.len() > 2);
    let mut found: Vec<(usize, usize)> = crowded
        .flat_map(|place| {
            let taken =
                |&index: &usize| Some((index, first_of_all(routes, &place, index, listeners)?));
            place.iter().filter_map(taken).collect::<Vec<_>>()
        })
        .collect();
    found.sort_unstable();
    found
}

fn first_of_all(
    routes: &[Arc<Route>],
    place: &[usize],
    index: usize,
    listeners: &[Arc<str>],
) -> Option<usize> {
    let route = &routes[index];
    let own = if route.listeners.is_empty() { listeners } else { &route.listeners };
    let mut by = Vec::new();
    for listener in own {
        let here = Route { listeners: vec![Arc::clone(listener)], ..(**route).clone() };
        by.push(*place.iter().find(|&&other| {
            let wide = &routes[other];
            let before = match (conditions::any(wide), conditions::any(route)) {
                (true, false) => true,
                (false, true) => false,
                _ => other < index,
            };
            before && same_place(wide, route) && implies(&here, wide)
        })?);
    }
    by.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn found(routes: &str) -> Vec<(usize, usize)> {
        let text = format!(
            "listeners.a.address = \"127.0.0.1:1\"\nlisteners.b.address = \"127.0.0.1:2\"\n{routes}"
        );
        let plan = load_text("x.toml".as_ref(), &text, &|_| None).unwrap().plan;
        let names: Vec<_> = plan.listeners.iter().map(|one| Arc::clone(&one.name)).collect();
        taken_on_every_listener(&plan.routes, &names)
    }

    #[test]
    fn a_route_that_another_takes_on_each_listener_is_found() {
        let route = |more: &str| format!("[[routes]]\npath = \"/x\"\nrespond = \"x\"\n{more}\n");
        let (a, b) = (route("listener = \"a\""), route("listener = \"b\""));
        let any = route("name = \"any\"");
        assert_eq!(found(&format!("{a}{b}{any}")), [(2, 0)]);
        // Conditions go first, wherever they stand.
        assert_eq!(found(&format!("{any}{a}{b}")), [(0, 1)]);
        assert_eq!(found(&format!("{a}{any}")), []);
        let get = route("listener = \"b\"\nmethods = [\"GET\"]");
        assert_eq!(found(&format!("{a}{get}{any}")), []);
    }
}
