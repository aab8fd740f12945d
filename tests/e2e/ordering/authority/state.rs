//! What an authority that works knows and answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use serde_json::{Value, json};

use super::{Fault, Given, Step};

/// How it stands.
pub struct State {
    pub address: Option<SocketAddr>,
    pub issuer: Issuer<'static, KeyPair>,
    pub faults: Vec<(Step, Fault)>,
    pub given: Given,
    pub asked: Vec<(Step, Instant)>,
    /// Each order's name, and the key of its certificate.
    pub orders: Vec<(String, Option<Vec<u8>>)>,
    /// The bodies of new orders.
    pub wishes: Vec<Value>,
    pub profiles: Value,
    /// When certificates are to be renewed: from and to, as RFC 3339 has it.
    pub window: Option<(String, String)>,
    pub shown: usize,
}

/// An answer as it is sent.
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Answer {
        let fields = vec![("Content-Type", "application/json".to_owned())];
        Answer { status, fields, body: body.to_string() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.fields.push((name, value.into()));
        self
    }
}

impl State {
    fn url(&self, rest: impl std::fmt::Display) -> String {
        format!("http://{}/{rest}", self.address.expect("it is up"))
    }

    /// The right answer to a step, but for what the fault changes in it.
    pub fn right(
        &mut self,
        step: Step,
        number: usize,
        payload: &Value,
        fault: Option<&Fault>,
    ) -> Answer {
        match step {
            Step::Directory => Answer::json(200, &self.directory()),
            Step::Nonce => Answer::json(200, &json!({})),
            Step::Account => {
                let known = Answer::json(201, &json!({ "status": "valid" }));
                known.with("Location", self.url("account/1"))
            }
            Step::Order => self.begin(payload, fault),
            Step::Authorization => self.authorization(number, fault),
            Step::Challenge => Answer::json(
                200,
                &json!({
                    "type": "http-01", "status": "valid", "token": "taken",
                    "url": self.url(format_args!("challenge/{number}")),
                }),
            ),
            Step::Poll => {
                let is_done = self.orders[number].1.is_some();
                let status = match fault {
                    Some(Fault::State(status, _)) => status,
                    _ if is_done => "valid",
                    _ => "ready",
                };
                Answer::json(200, &self.order(number, status))
            }
            Step::Finalize => {
                let request = payload["csr"].as_str().unwrap_or_default();
                let request = URL_SAFE_NO_PAD.decode(request).unwrap_or_default();
                self.orders[number].1 = Some(point(&request));
                let status = match fault {
                    Some(Fault::State(status, _)) => status,
                    _ => "valid",
                };
                Answer::json(200, &self.order(number, status))
            }
            Step::Certificate => {
                self.shown += 1;
                let fields = vec![("Content-Type", "application/pem-certificate-chain".to_owned())];
                Answer { status: 200, fields, body: self.certificate(number) }
            }
            Step::RenewalInfo => {
                let (start, end) = self.window.clone().unwrap_or_default();
                let window = json!({ "suggestedWindow": { "start": start, "end": end } });
                Answer::json(200, &window)
            }
        }
    }

    fn directory(&self) -> Value {
        let mut all = json!({
            "newNonce": self.url("nonce"),
            "newAccount": self.url("account"),
            "newOrder": self.url("new"),
            "meta": { "profiles": self.profiles },
        });
        if self.window.is_some() {
            all["renewalInfo"] = self.url("renewal").into();
        }
        all
    }

    /// Takes a new order.
    fn begin(&mut self, payload: &Value, fault: Option<&Fault>) -> Answer {
        let name = payload["identifiers"][0]["value"].as_str().unwrap_or_default();
        self.orders.push((name.to_owned(), None));
        self.wishes.push(payload.clone());
        let number = self.orders.len() - 1;
        let mut order = self.order(number, "pending");
        let forgets = matches!(fault, Some(Fault::Forgets));
        if let Some(replaces) = payload.get("replaces").filter(|_| !forgets) {
            order["replaces"] = replaces.clone();
        }
        let url = self.url(format_args!("order/{number}"));
        Answer::json(201, &order).with("Location", url)
    }

    fn authorization(&self, number: usize, fault: Option<&Fault>) -> Answer {
        let (status, error) = match fault {
            Some(Fault::State(status, error)) => (*status, *error),
            _ => ("pending", None),
        };
        let token = match fault {
            Some(Fault::Token(token)) => (*token).to_owned(),
            _ => format!("token-{number}"),
        };
        let mut challenge = json!({
            "type": "http-01", "status": "pending", "token": token,
            "url": self.url(format_args!("challenge/{number}")),
        });
        if let Some(error) = error {
            let kind = format!("urn:ietf:params:acme:error:{error}");
            challenge["error"] = json!({ "type": kind, "detail": "told to" });
        }
        let name = &self.orders[number].0;
        Answer::json(
            200,
            &json!({
                "status": status,
                "identifier": { "type": "dns", "value": name },
                "challenges": [challenge],
            }),
        )
    }

    fn order(&self, number: usize, status: &str) -> Value {
        json!({
            "status": status,
            "identifiers": [{ "type": "dns", "value": self.orders[number].0 }],
            "authorizations": [self.url(format_args!("authorization/{number}"))],
            "finalize": self.url(format_args!("finalize/{number}")),
            "certificate": self.url(format_args!("certificate/{number}")),
        })
    }

    fn certificate(&self, number: usize) -> String {
        let (name, key) = &self.orders[number];
        let hour = Duration::from_secs(3600);
        let now = SystemTime::now();
        let (name, from, to) = match &self.given {
            Given::Text(text) => return (*text).to_owned(),
            Given::For(life) => (name.as_str(), now - hour, now - hour + *life),
            Given::OtherName => ("other.test", now - hour, now + hour),
            Given::OtherKey => (name.as_str(), now - hour, now + hour),
            Given::Expired => (name.as_str(), now - 2 * hour, now - hour),
        };
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from.into(), to.into());
        params.use_authority_key_identifier_extension = true;
        let made = match &self.given {
            Given::OtherKey => params.signed_by(&KeyPair::generate().unwrap(), &self.issuer),
            _ => params.signed_by(&Point(key.clone().unwrap_or_default()), &self.issuer),
        };
        made.unwrap().pem()
    }
}

/// The public key of a request (RFC 2986): a point of P-256, which stands behind its bit string's
/// head.
fn point(request: &[u8]) -> Vec<u8> {
    let head = [0x03, 0x42, 0x00, 0x04];
    let at = request.windows(head.len()).position(|window| window == head);
    at.map_or(Vec::new(), |at| request[at + 3..at + 68].to_vec())
}

struct Point(Vec<u8>);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
