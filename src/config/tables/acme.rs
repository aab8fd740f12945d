//! `[acme]`: certificates that are ordered by tidegate itself, and the names that they are for.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{OneOrMany, Spanned, Time, Wait, seconds};

table! {
    /// Certificates by themselves: ordered from an authority that speaks ACME (RFC 8555), and
    /// renewed in time, for the names of `listeners.NAME.tls.acme`. Live sessions do not notice a
    /// renewal. Until a name's first certificate is there, its clients are shown one that tidegate
    /// has signed itself.
    AcmeTable "Acme", "a table";

    /// Where the authority writes to when something is wrong with the account.
    now email: String, as in "ops@example.com";
    /// That you agree to the terms of service of the authority: it must be `true`.
    now agree_to_terms [required]: bool, as in true;
    /// The directory of account, certificates and challenges. Instances that serve the same names
    /// share it: one of them orders, all serve what it got, and each answers the authority. It
    /// holds private keys, and is made with mode 0700.
    now state: String = "/var/lib/tidegate/acme".to_owned(), as in "acme";
    /// The authority: `letsencrypt`, `letsencrypt-staging` (certificates that no browser trusts, to
    /// try things with), or the URL of another one's directory.
    now directory: String = "letsencrypt".to_owned(),
        as in "https://ca.example.com/acme/directory";
    /// What kind of certificates, where the authority has several, as Let's Encrypt's `shortlived`.
    now profile: String, as in "shortlived";
    /// Ties the account to one that you have with the authority (external account binding).
    now eab: ExternalAccountTable;
    /// The PEM file of the authorities that the directory's own certificate is verified with. By
    /// default the system's.
    now roots: String, as in "certs/ca.pem";
    /// Shows by a record in DNS that a name is yours (DNS-01): for wildcards, which need it, and
    /// for machines that the authority does not reach. With it, it is used for all names.
    now dns: DnsHookTable;
}

table! {
    /// The account that you have with the authority.
    ExternalAccountTable "ExternalAccount", "a table with `id` and `key`";

    /// The name that the authority has given to its key.
    now id [required]: String, as in "kid-1";
    /// The key, in base64url, as the authority shows it.
    now key [required]: String, as in "${EAB_KEY}";
}

table! {
    /// A program that sets a record in DNS.
    DnsHookTable "DnsHook", "a table with `hook`";

    /// The program and its first arguments. It is called with three more: `present` or `remove`,
    /// the record's name (`_acme-challenge.example.com`), and the value of its TXT record. Several
    /// values may be present at a time. It must end with 0; of what it prints the log has the last
    /// 4 KiB where it does not.
    now hook [required]: OneOrMany<String>, as in ["/usr/local/bin/dns-hook"];
    /// The time from `present` until the authority is asked to look, in which the record reaches
    /// all name servers.
    now wait: Wait as Duration = Wait(Duration::from_secs(30)), as in "2m";
    /// The time for one call; it is ended then.
    now timeout: Time as Duration = seconds(60), as in "2m";
}

/// For which names certificates are ordered: `true`, `false`, or a list.
#[derive(Clone, Debug)]
pub enum AcmeNames {
    /// None.
    Off,
    /// The exact hosts of the listener's routes.
    OfRoutes,
    /// These.
    Listed(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for AcmeNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AcmeNamesVisitor;

        impl<'de> Visitor<'de> for AcmeNamesVisitor {
            type Value = AcmeNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a list of names")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<AcmeNames, E> {
                Ok(if on { AcmeNames::OfRoutes } else { AcmeNames::Off })
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<AcmeNames, E> {
                Ok(AcmeNames::Listed(vec![Spanned::by_default(name.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AcmeNames, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(AcmeNames::Listed(names))
            }
        }
        deserializer.deserialize_any(AcmeNamesVisitor)
    }
}

impl Serialize for AcmeNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AcmeNames::Off => false.serialize(serializer),
            AcmeNames::OfRoutes => true.serialize(serializer),
            AcmeNames::Listed(names) => names.serialize(serializer),
        }
    }
}

impl JsonSchema for AcmeNames {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "acme_names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "boolean" },
            { "type": "string" },
            { "type": "array", "items": { "type": "string" } },
        ] })
    }
}
