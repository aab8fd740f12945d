//! What a rule would answer, said to an operator who looks at a configuration: nobody is asked, and
//! nothing is fetched.

use std::net::IpAddr;

use super::denial::DenialReason;
use super::tokens::{self, VerifiedToken};
use crate::base::clock;
use crate::base::label::Label;
use crate::config::plan::{AccessRule, AccessTest, CertificateMatch, Jwt, TokenKeySource};

/// What would be shown to rules; nothing where the operator has not said.
#[derive(Clone, Copy, Default, Debug)]
pub struct Showing<'a> {
    /// The client's address.
    pub client: Option<IpAddr>,
    /// A token.
    pub token: Option<&'a str>,
}

/// What the rule would answer, as the end of a sentence that begins with its name.
pub fn explain(rule: &AccessRule, showing: &Showing<'_>) -> String {
    match (&rule.test, showing.client) {
        (AccessTest::Addresses(_), None) => {
            "goes by the client's address: say one with `--client`".to_owned()
        }
        (AccessTest::Addresses(lists), client) => match lists.allows(client) {
            true => "lets it pass".to_owned(),
            false => refusal(DenialReason::Address),
        },
        (AccessTest::Basic(basic), _) => {
            format!("asks for a name and a password of `{}`", basic.path.display())
        }
        (AccessTest::Jwt(jwt), _) => token(jwt, showing.token),
        (AccessTest::Forward(server), _) => {
            format!("asks pool `{}` for `{}`", server.pool, server.target)
        }
        (AccessTest::Certificate(CertificateMatch { names, sha256 }), _) => {
            match names.is_empty() && sha256.is_empty() {
                true => "takes any certificate that the listener takes".to_owned(),
                false => {
                    format!("takes certificates by {} names or hashes", names.len() + sha256.len())
                }
            }
        }
    }
}

fn token(jwt: &Jwt, token: Option<&str>) -> String {
    let Some(token) = token else {
        return "needs a token: say which with `--token`".to_owned();
    };
    let keys = match &jwt.keys {
        TokenKeySource::Read(keys) => keys,
        TokenKeySource::Url(url) => {
            return format!(
                "verifies the token with the keys of {}, which are not fetched here",
                url.shown
            );
        }
    };
    let since_1970 = clock::since_1970();
    match tokens::verify(token, &keys.loaded, jwt, since_1970.as_secs_f64()) {
        Err(reason) => refusal(reason),
        // Without a spread: the latest that it may be.
        Ok(VerifiedToken { left, .. }) => match tokens::session_time(jwt, left, 0.0) {
            Some(time) => format!("lets it pass; a session ends after {} s", time.as_secs()),
            None => "lets it pass".to_owned(),
        },
    }
}

fn refusal(reason: DenialReason) -> String {
    format!("refuses it with {}, `{}`: {reason}", reason.status().as_u16(), reason.label())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;
    use crate::config;

    const SECRET: &str = "a secret that both sides know, and nobody else";

    fn rules() -> Vec<Arc<AccessRule>> {
        let text = format!(
            "[listeners.http]\naddress = \"127.0.0.1:0\"\n[pools.auth]\nbackends = [\"a:1\"]\n\
             [access.office]\nallow = \"10.0.0.0/8\"\n\
             [access.login.jwt]\nsecret = \"{SECRET}\"\naudience = \"chat\"\n\
             [access.far.jwt]\nkeys = \"https://login.example/keys?x=secret\"\n\
             [access.sso.forward]\npool = \"auth\"\npath = \"/verify\"\n\
             [access.devices.certificate]\n\
             [[routes]]\npath = \"/\"\nrespond = \"a\"\n\
             access = [\"office\", \"login\", \"far\", \"sso\", \"devices\"]"
        );
        let loaded = config::load_text(std::path::Path::new("a.toml"), &text, &|_| None);
        loaded
            .map_err(|refused| format!("{:?}", refused.report.findings))
            .unwrap()
            .plan
            .access
            .clone()
    }

    fn said(client: Option<&str>, token: Option<&str>) -> Vec<String> {
        let showing = Showing { client: client.map(|ip| ip.parse().unwrap()), token };
        rules().iter().map(|rule| explain(rule, &showing)).collect()
    }

    #[test]
    fn each_rule_says_what_it_would_answer_or_what_it_has_to_be_told() {
        let nothing = said(None, None);
        assert_eq!(nothing[0], "goes by the client's address: say one with `--client`");
        assert_eq!(nothing[1], "needs a token: say which with `--token`");
        assert_eq!(nothing[3], "asks pool `auth` for `/verify`");
        assert_eq!(nothing[4], "takes any certificate that the listener takes");
        let since = clock::since_1970().as_secs();
        let token = |audience: &str| {
            let claims = json!({ "exp": since + 600, "aud": audience });
            encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))
                .unwrap()
        };
        let good = said(Some("10.1.2.3"), Some(&token("chat")));
        assert_eq!(good[0], "lets it pass");
        assert!(good[1].starts_with("lets it pass; a session ends after 59"), "{}", good[1]);
        assert!(good[2].contains("https://login.example/keys,") && !good[2].contains("secret"));
        let bad = said(Some("192.0.2.1"), Some(&token("mail")));
        assert!(bad[0].starts_with("refuses it with 403, `address`: "), "{}", bad[0]);
        assert!(bad[1].starts_with("refuses it with 401, `token_audience`: "), "{}", bad[1]);
    }
}
