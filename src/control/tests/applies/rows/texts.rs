//! What several rows write.

pub(super) const AGREED_BY_TWO: &str = "agree_to_terms = true\nemail = \"two";

pub(super) const JWT_SECRET: &str = "secret = \"a secret that both sides know, and nobody else\"";

/// Two routes of the base, each to become one of a site.
pub(super) const CHAT: &str = "[[routes]]\npath = \"/chat\"";
pub(super) const FILES: &str = "[[routes]]\npath = \"/files\"";

pub(super) const HANDSHAKES: &str =
    "limits.handshakes = { key = \"client\", rate = \"700/s\", burst = 7000 }";

pub(super) const SESSIONS: &str =
    "limits.sessions = { key = \"client\", max = 70, excess = \"oldest\" }";

pub(super) const TLS: &str = "tls.certificates = [{ chain = \"one.pem\", key = \"one.key\" }]";

pub(super) const TWO_CERTIFICATES: &str =
    "[{ chain = \"two.pem\", key = \"two.key\" }, { chain = \"one.pem\", ";

pub(super) const BACKUP: &str = "weight = 1 }, { address = \"TWO\", backup = true }";

pub(super) const STICKY: &str = "sticky.secrets = \"what is signed with, as long as it has to be\"";

pub(super) const STICKY_COOKIE: &str =
    "sticky = { secrets = \"what is signed with, as long as it has to be\", cookie = \"seven\" }";

pub(super) const STICKY_SITE: &str =
    "sticky = { secrets = \"what is signed with, as long as it has to be\", same_site = \"none\" }";

pub(super) const MESSAGES_BY: &str =
    "messages_by = { key = \"client\", rate = \"7/s\", burst = 70 }";

pub(super) const REWRITE: &str = "rewrite = { from = \"^/chat/(.*)$\", to = \"/talk/$1\" }";

pub(super) const UPSTREAM_ORIGIN: &str = "upstream_host = \"backend.test\"\nupstream_origin = true";

pub(super) const PROBE_HOST: &str = "health.probe = { http = \"/seven\", host = \"seven.test\" }";

pub(super) const PROBE_BODY: &str = "health.probe = { http = \"/seven\", body = \"seven\" }";

pub(super) const PROBE_PONG: &str = "health.probe = { websocket = \"/seven\", pong = true }";
