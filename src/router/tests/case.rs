use http::StatusCode;

use super::*;
use crate::config::plan::{PathChange, PoolTarget};

#[test]
fn a_route_may_ignore_case() {
    assert_found(
        &["h /Admin", "h /admin i", "h = /admin/x i", "h /admin/y", "h /ADMIN*", "h ~ z$"],
        &[
            ("h /Admin/a", "h /Admin"),
            ("h /aDMIN", "h /admin i"),
            ("h /ADMIN/X", "h = /admin/x i"),
            ("h /admin/y", "h /admin/y"),
            ("h /ADMIN/Y", "h /admin i"),
            ("h /ADMINS", "h /ADMIN*"),
            ("h /ADMIN/z", "h ~ z$"),
            ("h /\u{212a}", "-"),
        ],
    );
    assert_found(&["h ^~ /ask i"], &[("h /as\u{212a}/x", "h ^~ /ask i")]);
    let between = |taken, other| Precedence::between(&route(taken), &route(other));
    assert_eq!(between("h /a", "h /a i"), Precedence::Case);
    assert_eq!(between("h = /a", "h = /a i"), Precedence::Case);
    assert_eq!(between("h /a i", "h /a*"), Precedence::Segment);
    assert_eq!(between("h /a i x=1", "h /a i"), Precedence::Conditions);
}

#[test]
fn a_denial_in_one_case_only_is_found() {
    let denied = |lines: &[&str]| {
        let mut routes: Vec<Route> = lines.iter().map(|line| (*route(line)).clone()).collect();
        let (last, denials) = routes.split_last_mut().unwrap();
        for denial in denials {
            let Action::Respond(respond) = &mut denial.action else { unreachable!() };
            respond.status = StatusCode::FORBIDDEN;
        }
        last.action = Action::Pool(PoolTarget {
            name: "backends".into(),
            path: PathChange::default(),
            host: None,
            origin_follows: false,
            reverse_mapping: true,
        });
        let router = Router::build(&routes.into_iter().map(Arc::new).collect::<Vec<_>>());
        let found = CaseCounts::of(&router);
        found.iter().map(|found| (found.route, found.path.clone())).collect::<Vec<_>>()
    };
    let found = denied(&["* /admin", "* /x i", "* ~ ^/env", "* ~ (?i)^/b", "* = /1", "* /"]);
    assert_eq!(found, [(0, "/ADMIN".to_owned()), (2, "/ENV".to_owned())]);
    assert_eq!(denied(&["h /admin", "*.h ~ \\.PHP$", "o /"]), []);
    assert_eq!(denied(&["h /admin", "*.h ~ \\.PHP$", "* /"]).len(), 2);
}
