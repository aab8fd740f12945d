//! `[[sites]]`: what the routes of one host share.

use serde_json::json;

use super::{
    CompressTable, ErrorsValue, FieldChangesTable, Named, OneOrMany, RouteAccess, RouteTable,
    Spanned,
};

table! {
    /// What several routes have in common, as those of one host: each key but `routes` is a key of
    /// its routes, as if it stood in every one of them. A route that has the key itself has its own
    /// alone; nothing is put together out of both.
    SiteTable "Site", "a table with `routes`";

    /// The listeners of its routes: their names, or one.
    drains listener: OneOrMany<String>, as in "https";
    /// The host of its routes, or a list.
    drains host: OneOrMany<String>, as in "example.com";
    /// The rules of who may pass its routes; `access = false` in a route lets all pass there.
    next access: RouteAccess, as in ["office"];
    /// The pages that may open WebSockets on its routes with a pool.
    next allowed_origins: OneOrMany<String>, as in "same";
    /// Fields of requests that are removed, set or added on its routes with a pool.
    next request_headers: FieldChangesTable;
    /// Fields of answers that are removed, set or added.
    next response_headers: FieldChangesTable,
        as in json!({ "set": { "Strict-Transport-Security": "max-age=63072000" } });
    /// Pages in place of the texts of errors.
    next errors: Named<ErrorsValue>, as in json!({ "502-504": "errors/away.html" });
    /// Which answers are compressed on their way.
    next compress: CompressTable, as in json!({});
    /// The site's routes. Which of all routes is taken is the same question as without sites: host
    /// and path decide, not the site.
    drains routes [required]: Vec<Spanned<RouteTable>>;
}
