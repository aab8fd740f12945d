//! `$host` and its kind: nginx fills them in, tidegate takes them as they are written.

use crate::report::Diagnostic;

/// Variables of nginx, each with what tidegate has for it.
const VARIABLES: &[(&str, &str)] = &[
    ("http_upgrade", "remove it: tidegate takes WebSockets without a word"),
    ("connection_upgrade", "remove it: tidegate takes WebSockets without a word"),
    ("proxy_add_x_forwarded_for", "remove it: tidegate sends `X-Forwarded-For` by itself"),
    ("proxy_host", "`upstream_host` says which `Host` a backend gets"),
    ("remote_addr", "it is `{client_ip}`; backends get `X-Real-IP` by themselves"),
    ("realip_remote_addr", "remove it: tidegate sends `X-Forwarded-For` by itself"),
    ("http_host", HOST),
    ("host", HOST),
    ("server_name", HOST),
    ("remote_port", "it is `{client_port}`"),
    ("scheme", "it is `{scheme}`; backends get `X-Forwarded-Proto` by themselves"),
    ("server_port", "it is `{port}`; backends get `X-Forwarded-Port` by themselves"),
    ("request_uri", "it is `{path}{query}`; backends get the path as it came"),
    ("uri", "it is `{path}`; backends get the path as it came"),
    ("document_uri", "it is `{path}`; backends get the path as it came"),
    ("args", "it is `{query}`, with its `?`"),
    ("query_string", "it is `{query}`, with its `?`"),
    ("is_args", "it is in `{query}`, which has its `?`"),
    ("request_id", "it is `{request_id}`; backends get `X-Request-Id` by themselves"),
    ("request_method", "it is `{method}`"),
    ("ssl_protocol", "it is `{tls.version}`"),
    ("ssl_server_name", "it is `{tls.sni}`"),
    ("http_origin", "it is `{header.Origin}`; `allowed_origins` says which origins may come"),
    ("remote_user", "it is `{access.user}`, where a rule of `access` knows one"),
    ("ssl_client_s_dn", "it is `{client_cert.subject}`"),
    ("ssl_client_serial", "it is `{client_cert.serial}`"),
    ("ssl_client_fingerprint", "`{client_cert.sha256}` is the certificate's hash"),
    ("ssl_client_cert", "backends get it in `Client-Cert`, where `tls.clients` asks for one"),
    ("http_", "a header field is `{header.NAME}`; backends get them as they came"),
    ("cookie_", "a cookie is `{cookie.NAME}`"),
    ("arg_", "a parameter is `{query.NAME}`"),
    ("jwt_claim_", "a token's claim is `{claim.NAME}`"),
];

const HOST: &str = "it is `{host}`; backends get `Host` as it came";

/// A warning where `text` has one of nginx's variables in it.
pub fn warning(subject: &str, text: &str) -> Option<Diagnostic> {
    let word = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    let (name, hint) = text.split('$').skip(1).find_map(|rest| {
        let name = word(rest.strip_prefix('{').unwrap_or(rest));
        let is = |known: &str| match known.ends_with('_') {
            true => name.len() > known.len() && name.starts_with(known),
            false => name == known,
        };
        let (_, hint) = VARIABLES.iter().find(|(known, _)| is(known))?;
        Some((name, *hint))
    })?;
    let said = format!("{subject} has a variable of nginx's, which is not filled in: `${name}`");
    Some(Diagnostic::warning("variable", said).hint(hint.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_variables_are_known_and_other_dollars_are_not() {
        for text in ["$host", "https://$host$request_uri", "x-$http_x_room", "$arg_id;"] {
            assert!(warning("`to`", text).is_some(), "{text}");
        }
        let hint = |text| warning("`set`", text).unwrap().hint.unwrap();
        assert!(hint("$request_id").contains("{request_id}"), "it is one of the request's values");
        assert!(hint("$remote_addr").contains("{client_ip}"));
        for text in ["", "$", "^/room$", "cost: $5", "$hosts", "$http_", "$$", "a$b"] {
            assert!(warning("`to`", text).is_none(), "{text}");
        }
    }
}
