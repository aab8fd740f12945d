//! Words of nginx, HAProxy, Caddy and Traefik, each answered with what tidegate has for it.

/// A thing that people look for, and where it is.
pub struct Wish {
    /// How others call it; `-`, `_` and capitals do not count.
    words: &'static [&'static str],
    /// A key of the table that it is looked for in; `None` for any table.
    beside: Option<&'static str>,
    /// The hint.
    pub answer: &'static str,
    /// The key that the hint speaks of, when the table has it.
    pub instead: Option<&'static str>,
}

/// The wish that an unknown key names, in a table of the `known` keys.
pub fn wish(name: &str, known: &[&str]) -> Option<&'static Wish> {
    let plain = |word: &str| -> String {
        word.chars().filter(|c| !"-_".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
    };
    let name = plain(name);
    let named = |wish: &&Wish| wish.words.iter().any(|word| plain(word) == name);
    let here = |wish: &&Wish| wish.beside.is_some_and(|key| known.contains(&key));
    let anywhere = |wish: &&Wish| wish.beside.is_none();
    let mut wishes = WISHES.iter().filter(named);
    wishes.clone().find(here).or_else(|| wishes.find(anywhere))
}

macro_rules! wishes {
    ($($($word:literal)|+ $(in $beside:literal)? => $answer:literal $(, $instead:literal)?;)*) => {
        const WISHES: &[Wish] = &[$(Wish {
            words: &[$($word),+],
            beside: wishes!(@maybe $($beside)?),
            answer: $answer,
            instead: wishes!(@maybe $($instead)?),
        }),*];
    };
    (@maybe) => { None };
    (@maybe $word:literal) => { Some($word) };
}

wishes! {
    // Where requests go.
    "proxy_pass" | "reverse_proxy" | "upstream" | "use_backend" | "service" | "forward"
        in "pool" =>
        "write `[pools.app]` with `backends = [\"127.0.0.1:3000\"]`, and here `pool = \
         \"app\"`", "pool";
    "backend" | "backends" | "address" | "target" | "url" in "strip_prefix" =>
        "write `[pools.app]` with `backends = [\"127.0.0.1:3000\"]`, and here `pool = \
         \"app\"`", "pool";
    "upstream" | "upstreams" | "backends" | "services" | "clusters" | "cluster" in "pools" =>
        "a group of backends is `[pools.NAME]`, with `backends = [\"127.0.0.1:3000\"]`";
    "location" | "locations" | "routers" | "router" | "route" | "rules" in "routes" =>
        "a route is `[[routes]]`, with `host`, `path` and what is done";
    "server" | "servers" | "frontend" | "frontends" | "bind" | "entrypoints" | "listen" | "listener"
        | "virtualhost" in "listeners" =>
        "an address is listened on by `[listeners.NAME]`; what a host or path gets is \
         `[[routes]]`";
    "servers" | "server" | "members" | "targets" | "upstreams" | "nodes" | "hosts"
        in "backends" =>
        "the members of a pool are `backends = [\"127.0.0.1:3000\"]`", "backends";
    "listen" | "bind" | "port" | "addr" | "host" in "trusted_proxies" =>
        "write `address = \"0.0.0.0:443\"`", "address";
    "server_name" | "domain" | "domains" | "hosts" | "vhost" in "pool" =>
        "the hosts of a route are `host = \"example.com\"`, or a list", "host";
    "server_name" | "domain" | "domains" | "hosts" | "vhost" in "trusted_proxies" =>
        "hosts stand in routes: `host = \"example.com\"` of `[[routes]]` or `[[sites]]`";
    "match" | "rule" | "matcher" | "prefix" | "path_prefix" | "paths" | "uri" | "location"
        in "pool" =>
        "a route's conditions are `host`, `path`, `methods`, `headers` and `listener`", "path";
    "middlewares" | "middleware" | "filters" | "plugins" | "handlers" =>
        "there are no chains of middleware: what is done to a request are keys of its route";
    "lb_policy" | "policy" | "strategy" | "algorithm" | "load_balancing" | "loadbalancer"
        | "ip_hash" | "least_conn" in "backends" =>
        "how a backend is chosen is `balance`; one value to one backend is `balance = \"hash\"`";
    "max_fails" | "fail_timeout" | "outlier_detection" in "backends" =>
        "failures eject a backend: `health.failures_max` and `health.eject_time`";
    "health_check" | "healthcheck" | "health_checks" | "health_uri" | "check" | "active_health" =>
        "backends are asked by a pool's `health.probe`, as in `health.probe = { http = \
         \"/healthz\" }`; failed requests eject one as well";
    "max_conns" | "maxconn" | "max_connections" in "backends" =>
        "the live WebSockets of each backend are limited by `sessions_max`";
    "keepalive" | "keep_alive" in "keep_alive_max" =>
        "idle connections to backends are `keep_alive_max` and `keep_alive_timeout`";
    "send_proxy" | "send_proxy_v2" in "backends" =>
        "the PROXY header is sent by `proxy_protocol = \"v1\"` or `\"v2\"`", "proxy_protocol";
    "proxy_connect_timeout" | "dial_timeout" =>
        "time for a connection to a backend is `connect_timeout` of its pool";
    "proxy_read_timeout" | "proxy_send_timeout" | "timeout_tunnel" | "read_timeout"
        | "write_timeout" =>
        "a quiet WebSocket stays open: `relay.idle_timeout` ends it, pings find dead ones; plain \
         requests have `response_timeout` of the pool";
    "proxy_http_version" | "proxy_set_header" | "header_up" | "custom_request_headers"
        | "request_header" | "set_header" | "requestheaders" =>
        "fields are changed by `request_headers.set`, `.add` and `.remove` of a route; `Host`, \
         `Upgrade`, `Connection` and the forwarding fields need nothing";
    "add_header" | "header" | "header_down" | "custom_response_headers" | "response_header"
        | "proxy_hide_header" | "more_set_headers" in "pool" =>
        "fields of answers are changed by `response_headers.set`, `.add` and `.remove`";
    "cors" | "access_control_allow_origin" =>
        "fields of answers are `response_headers.set`; who may open a WebSocket is \
         `allowed_origins`";
    // What may pass.
    "allow" | "deny" | "allow_list" | "deny_list" | "ip_allow_list" | "ip_whitelist" | "whitelist"
        | "blacklist" | "ip_filter" | "remote_ip" | "acl" | "allowed_ips" in "strip_prefix" =>
        "whose addresses may pass is a rule: write `[access.office]` with `allow` or `deny`, and \
         here `access = \"office\"`", "access";
    "allow" | "deny" | "allow_list" | "deny_list" | "ip_allow_list" | "ip_whitelist" | "whitelist"
        | "blacklist" | "ip_filter" | "remote_ip" | "acl" | "allowed_ips" =>
        "whose addresses may pass is a rule: `[access.NAME]` with `allow` or `deny`, which routes \
         name in `access`";
    "auth_basic" | "auth_basic_user_file" | "basic_auth" | "basicauth" | "htpasswd" | "userlist"
        in "strip_prefix" =>
        "users with passwords are a rule: write `[access.tools]` with `basic = \
         \"tools.htpasswd\"`, and here `access = \"tools\"`", "access";
    "auth_basic" | "auth_basic_user_file" | "basic_auth" | "basicauth" | "htpasswd"
        | "userlist" =>
        "users with passwords are a rule: `[access.NAME]` with `basic = \"tools.htpasswd\"`, \
         which routes name in `access`";
    "jwt" | "auth_jwt" | "jwks" | "bearer" in "strip_prefix" =>
        "tokens are asked for by a rule: write `[access.login.jwt]` with `keys`, and here \
         `access = \"login\"`", "access";
    "jwt" | "auth_jwt" | "jwks" | "bearer" =>
        "tokens are asked for by a rule: `[access.NAME.jwt]` with `keys`, which routes name in \
         `access`";
    "jwks_url" | "jwks_uri" | "auth_jwt_key_request" in "audience" =>
        "keys are fetched where `keys` is a URL, as in `keys = \"https://…/jwks.json\"`", "keys";
    "auth_request" | "forward_auth" | "ext_authz" | "oauth" | "oauth2" | "oidc" =>
        "another server is asked by a rule: `[access.NAME.forward]` with `pool` and `path`, which \
         routes name in `access`; `config/recipes/oauth2-proxy.toml` shows a login";
    "auth" | "authenticate" | "authentication" | "authorization" =>
        "who may pass are rules that routes name in `access`: `[access.NAME]` with `allow`, \
         `basic`, `jwt`, `forward` or `certificate`";
    "limit_req" | "limit_req_zone" | "limit_conn" | "limit_conn_zone" | "rate_limit" | "ratelimit"
        | "rate_limits" | "throttle" | "burst" =>
        "a route's `limits` has `requests`, `handshakes` and `sessions`, as in `limits.requests = \
         { key = \"client\", rate = \"10/s\" }`; connections are \
         `limits.connections_per_address_max`";
    "client_max_body_size" | "max_body_size" | "body_limit" | "request_body" =>
        "bodies of requests are limited by `limits.body_bytes_max` of a route, messages of \
         WebSockets by `relay.message_bytes_max`";
    "client_header_timeout" | "read_header_timeout" =>
        "time for the head of a request is `limits.head_timeout` of a listener";
    // What is done to them.
    "gzip" | "gzip_types" | "brotli" | "zstd" | "compression" | "encode" | "deflate"
        | "gzip_static" | "brotli_static" =>
        "answers are compressed where a route has `compress = {}`; what is compressed beside a \
         file is served by `files.precompressed`, and permessage-deflate passes";
    "rewrites" | "replace_path" | "replace_path_regex" | "add_prefix" | "url_rewrite"
        | "path_rewrite" | "regex_rewrite" | "prefix_rewrite" =>
        "`rewrite = { from = \"^/u/([0-9]+)$\", to = \"/users/$1\" }` of a route rewrites a path; \
         `strip_prefix = true` cuts the route's prefix off, `replace_prefix = \"/v2\"` replaces it";
    "handle_path" | "strip_path" | "strip_path_prefix" | "uri_strip_prefix" =>
        "the route's prefix is cut off by `strip_prefix = true`", "strip_prefix";
    "try_files" | "root" | "alias" | "file_server" | "static" | "directory" | "webroot" | "index"
        in "files" =>
        "files are served by `files = \"/var/www\"`, or a table with `root`, `index` \
         and `fallback`, which may be a pool: `\"pool:app\"`", "files";
    "expires" | "cache_control" | "max_age" in "precompressed" =>
        "how long files are kept is `cache = { html = \"no-cache\", \"*\" = \"max-age=3600\" }`",
        "cache";
    "return" | "body" | "status" | "response" in "respond" =>
        "a fixed answer is `respond = \"text\"`, or a table with `status` and `body`; \
         a redirect is `redirect`", "respond";
    "redir" | "redirects" | "redirect_scheme" | "https_redirect" | "force_https" =>
        "a redirect is a route: `listener = \"http\"` and `redirect = \
         \"https://{host}{path}{query}\"`", "redirect";
    "error_page" | "error_pages" | "handle_errors" | "errorfile" | "errorfiles" =>
        "pages for errors are `errors = { \"502-504\" = \"errors/away.html\" }` of a route; with \
         `from_backend = true` in it for the backend's as well";
    "maintenance" | "maintenance_page" | "maintenance_mode" =>
        "a maintenance page is `respond = { status = 503, file = \"maintenance.html\" }` of a \
         route";
    "proxy_redirect" | "proxy_cookie_path" | "proxy_cookie_domain" =>
        "what a backend says of its own paths is led back below a prefix that is cut off or \
         replaced; `reverse_mapping = false` leaves it";
    "mirror" | "mirroring" | "shadow" =>
        "tidegate does not send copies of requests to other backends";
    "cache" | "proxy_cache" | "caching" | "proxy_cache_path" =>
        "tidegate does not cache answers";
    "websockets" | "upgrade_websocket" | "ws" in "websocket" =>
        "nothing has to be switched on: a handshake is recognised; `websocket = \"only\"` \
         refuses plain requests";
    // TLS.
    "letsencrypt" | "lets_encrypt" | "certresolver" | "certificate_resolver"
        | "certificates_resolvers" | "auto_https" | "on_demand_tls" =>
        "certificates are ordered for a listener with `tls.acme = true`, as the table `[acme]` \
         says";
    "client_ca" | "client_auth" | "mtls" | "ssl_client_certificate" | "ssl_verify_client"
        | "client_certificates" =>
        "certificates of clients are asked for by a listener's `tls.clients`, as in `clients = { \
         roots = \"ca.pem\" }`; who may pass with one, by `[access.NAME.certificate]`";
    "ssl_certificate" | "ssl_certificate_key" | "certificate" | "cert" | "cert_file" | "key_file"
        | "crt" | "certs" =>
        "certificates stand in a listener: `tls.certificates = [{ chain = \"site.pem\", key = \
         \"site.key\" }]`";
    "certificate" | "cert" | "cert_file" | "crt" | "fullchain" | "file" in "chain" =>
        "the certificate with those that signed it is `chain`", "chain";
    "ssl" | "https" in "trusted_proxies" =>
        "TLS is on where `tls.certificates` names a certificate";
    "ssl_protocols" | "min_version" | "protocols" | "minversion" in "version_min" =>
        "the lowest version of TLS is `version_min = \"1.2\"` or `\"1.3\"`", "version_min";
    "ciphers" | "ssl_ciphers" | "cipher_suites" | "curves" =>
        "tidegate speaks the safe suites of TLS 1.2 and 1.3; they cannot be chosen";
    "hsts" | "strict_transport_security" =>
        "write `response_headers.set.Strict-Transport-Security = \"max-age=63072000\"` in routes";
    "proxy_ssl_verify" | "insecure_skip_verify" | "tls_insecure_skip_verify" | "verify" =>
        "certificates of backends are always verified; `tls.ca` names whom to trust";
    "proxy_ssl_trusted_certificate" | "ca_file" | "trusted_ca" | "cafile" | "root_ca" in "ca" =>
        "whom to trust is `ca`", "ca";
    "sni" | "proxy_ssl_name" in "ca" => "the name asked for is `server_name`", "server_name";
    "http3" | "quic" | "h3" => "tidegate speaks HTTP/1.1 and HTTP/2, not HTTP/3 yet";
    // The process.
    "worker_processes" | "threads" | "nbthread" =>
        "threads are `workers`, above the first `[table]`", "workers";
    "worker_connections" | "worker_rlimit_nofile" =>
        "connections are limited by `limits.connections_max`, and by the system's open files";
    "events" | "http" | "stream" | "global" | "defaults" =>
        "there are no blocks round the rest: write `[listeners.NAME]`, `[pools.NAME]` and \
         `[[routes]]`";
    "resolver" | "dns" | "resolvers" =>
        "a name in `backends` is resolved by the system, anew at each connection; \
         `\"dns:app.internal:3000\"` is all addresses of a name, by `discovery.resolver`";
    "user" | "group" | "daemon" | "pid" | "pidfile" =>
        "the service manager decides that; see `config/tidegate.service`";
    "tracing" | "otlp" | "opentelemetry" | "telemetry" | "trace" =>
        "traces are sent by the table `[traces]`, as in `endpoint = \"http://127.0.0.1:4318\"`";
    "metrics" | "prometheus" | "statsd" | "stats" | "dashboard" =>
        "metrics are at `/metrics` of the `[admin]` listener, and a page to look at with its \
         `page = true`";
    "access_log" | "error_log" | "logs" | "logging" in "listeners" =>
        "logs are the table `[log]`";
    "access_log" | "error_log" =>
        "logs are the table `[log]`; each request has a line with `log.access`";
    "file" | "output" | "path" | "target" in "filter" =>
        "logs go to standard error, from where a service manager takes them";
    "level" | "loglevel" in "filter" => "write `filter = \"info\"`", "filter";
    "api" | "admin_api" | "api_key" =>
        "the operator's commands go by `[control]`, health and metrics by `[admin]`; a service \
         pushes to clients by a route with `api`";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys that there are, as an editor is told them.
    const SCHEMA: &str = include_str!("../../../config/tidegate.schema.json");

    /// What is quoted and is no key: pools' and rules' own names, a word for any table, and what
    /// stands among the statuses of `errors`.
    const NAMES: [&str; 7] = ["", "app", "login", "office", "tools", "table", "from_backend"];

    #[test]
    fn each_answer_names_keys_that_there_are() {
        let is_key = |c: char| c.is_ascii_lowercase() || "._".contains(c);
        for wish in WISHES {
            for quoted in wish.answer.split('`').skip(1).step_by(2) {
                let first = quoted.split(' ').next().unwrap_or_default();
                let first = first.trim_matches(['[', ']']);
                for key in first.split('.').filter(|_| first.chars().all(is_key)) {
                    let is_name = NAMES.contains(&key);
                    let is_there = is_name || SCHEMA.contains(&format!("\"{key}\""));
                    assert!(is_there, "{:?}: no key `{key}` in {}", wish.words, wish.answer);
                }
            }
        }
    }

    /// What tidegate learned since these were written.
    #[test]
    fn no_answer_denies_what_there_is() {
        let answer = |name: &str| wish(name, &[]).unwrap().answer;
        assert!(answer("health_check").contains("health.probe"));
        assert!(answer("auth_request").contains("[access.NAME.forward]"));
        assert!(answer("mtls").contains("tls.clients"));
        assert!(answer("resolver").contains("dns:"));
        assert!(answer("opentelemetry").contains("[traces]"));
        assert!(wish("jwks_uri", &["audience"]).unwrap().answer.contains("https://"));
        assert!(wish("server_name", &["trusted_proxies"]).unwrap().answer.contains("[[routes]]"));
    }
}
