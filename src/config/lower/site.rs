//! Sites, as the routes they stand for: behind this there are routes only.

use crate::report::Diagnostic;

use super::super::tables::{FileTable, RouteTable, SiteTable, Spanned};
use super::{Lower, action};

/// Adds the routes of all sites to those of the file, each with what its site says of it.
pub fn flatten(cx: &mut Lower<'_>, file: &mut FileTable) {
    let sites = std::mem::take(&mut file.sites);
    let mut routes = Vec::new();
    if sites.is_faulty() {
        routes.push(faulty(sites.clone()));
    }
    for site in sites.into_value().unwrap_or_default() {
        let Some((shared, span)) = site.written() else {
            routes.push(faulty(site));
            continue;
        };
        let own = shared.routes.get().map_or(&[][..], Vec::as_slice);
        if own.is_empty() && !shared.routes.is_faulty() {
            let finding = Diagnostic::warning("missing", "this site has no route").at(span);
            cx.report(finding.hint("write `[[sites.routes]]` below it".to_owned()));
        }
        routes.extend(own.iter().map(|route| route.clone().map(|route| of_site(&route, shared))));
        if shared.routes.is_faulty() {
            routes.push(faulty(shared.routes.clone()));
        }
    }
    if !routes.is_empty() && !file.routes.is_faulty() {
        file.routes.value_or_default().extend(routes);
    }
}

/// A route that could not be read: what no route names may stand in it.
fn faulty<T>(written: Spanned<T>) -> Spanned<RouteTable> {
    written.map(|_| RouteTable::default())
}

/// A route with what its site says, where it does not say so itself.
fn of_site(route: &RouteTable, site: &SiteTable) -> RouteTable {
    let mut shared = RouteTable {
        listener: site.listener.clone(),
        host: site.host.clone(),
        access: site.access.clone(),
        response_headers: site.response_headers.clone(),
        errors: site.errors.clone(),
        compress: site.compress.clone(),
        ..RouteTable::default()
    };
    // A page beside the sockets takes no part in what is asked of them.
    if action::pool_of(route).is_some() {
        shared.allowed_origins = site.allowed_origins.clone();
        shared.request_headers = site.request_headers.clone();
    }
    route.over(&shared)
}
