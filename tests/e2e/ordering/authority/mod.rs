//! An authority that speaks ACME (RFC 8555) as far as an order for one name needs it, takes every
//! name for its client's, and goes wrong where it is told to.

mod state;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use state::{Answer, State};

use crate::actors::{Backend, Head, Wire, read_body};

/// What it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    Directory,
    Nonce,
    Account,
    Order,
    Authorization,
    Challenge,
    /// How an order stands.
    Poll,
    Finalize,
    Certificate,
    RenewalInfo,
}

/// How it answers one step in place of what is right.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A problem document (RFC 7807): status, ACME's word for it, and fields.
    Problem(u16, &'static str, Vec<(&'static str, String)>),
    /// Whatever this is, as JSON.
    Raw(u16, String),
    /// What is no ACME at all, as of a proxy before it.
    Page(u16, Vec<(&'static str, String)>),
    /// Nothing, for ever.
    Silent,
    /// What is right, so much later.
    Late(Duration),
    /// What is right, with these fields too.
    With(Vec<(&'static str, String)>),
    /// An order or its authorization in this state; its error, where it has one.
    State(&'static str, Option<&'static str>),
    /// What is right, but that it forgets what an order replaces.
    Forgets,
    /// This token in place of one.
    Token(&'static str),
}

/// The certificates that it gives.
#[derive(Clone, Debug)]
pub enum Given {
    /// That is right, and valid from an hour ago for so long.
    For(Duration),
    OtherName,
    OtherKey,
    Expired,
    Text(&'static str),
}

/// An authority on a port of its own.
pub struct Authority {
    backend: Backend,
    state: Arc<Mutex<State>>,
    dir: TempDir,
}

impl Authority {
    pub async fn start() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.use_authority_key_identifier_extension = true;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let state = Arc::new(Mutex::new(State {
            address: None,
            issuer: Issuer::new(params, key),
            faults: Vec::new(),
            given: Given::For(Duration::from_secs(90 * 86_400)),
            asked: Vec::new(),
            orders: Vec::new(),
            wishes: Vec::new(),
            profiles: json!({}),
            window: None,
            shown: 0,
        }));
        let own = Arc::clone(&state);
        let backend = Backend::script(move |head, mut wire| {
            let state = Arc::clone(&own);
            async move { answer(&state, &head, &mut wire).await }
        });
        let backend = backend.await;
        state.lock().unwrap().address = Some(backend.address());
        Authority { backend, state, dir }
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("http://{}/dir", self.backend.address())
    }

    /// What to trust.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Answers this step so from now on.
    pub fn fault(&self, step: Step, fault: Fault) {
        self.state().faults.push((step, fault));
    }

    /// Gives such certificates from now on.
    pub fn give(&self, given: Given) {
        self.state().given = given;
    }

    /// Has these profiles.
    pub fn profiles(&self, profiles: Value) {
        self.state().profiles = profiles;
    }

    /// Wants certificates renewed then.
    pub fn window(&self, from: &str, to: &str) {
        self.state().window = Some((from.to_owned(), to.to_owned()));
    }

    /// Is as it should be again.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.given = Given::For(Duration::from_secs(90 * 86_400));
    }

    /// How often it was asked for this.
    pub fn asked(&self, step: Step) -> usize {
        self.moments(step).len()
    }

    /// When it was asked for this.
    pub fn moments(&self, step: Step) -> Vec<Instant> {
        let state = self.state();
        let of_step = state.asked.iter().filter(|(asked, _)| *asked == step);
        of_step.map(|(_, at)| *at).collect()
    }

    /// What new orders said, in their order.
    pub fn wishes(&self) -> Vec<Value> {
        self.state().wishes.clone()
    }

    /// Certificates that were fetched.
    pub fn issued(&self) -> usize {
        self.state().shown
    }
}

/// What a path asks for, and of which order.
fn step_of(path: &str) -> (Step, usize) {
    let mut parts = path.trim_start_matches('/').split('/');
    let step = match parts.next().unwrap_or_default() {
        "dir" => Step::Directory,
        "nonce" => Step::Nonce,
        "account" => Step::Account,
        "new" => Step::Order,
        "authorization" => Step::Authorization,
        "challenge" => Step::Challenge,
        "order" => Step::Poll,
        "finalize" => Step::Finalize,
        "certificate" => Step::Certificate,
        _ => Step::RenewalInfo,
    };
    let number = parts.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    (step, number)
}

async fn answer(state: &Mutex<State>, head: &Head, wire: &mut Wire) {
    let body = match head.get("content-length") {
        "" => String::new(),
        _ => read_body(head, wire).await,
    };
    let path = head.second().to_owned();
    let (step, number) = step_of(&path);
    let fault = {
        let mut state = state.lock().unwrap();
        state.asked.push((step, Instant::now()));
        let mut faults = state.faults.iter().rev();
        faults.find(|(at, _)| *at == step).map(|(_, fault)| fault.clone())
    };
    if let Some(Fault::Silent) = fault {
        std::future::pending::<()>().await;
    }
    if let Some(Fault::Late(late)) = fault {
        tokio::time::sleep(late).await;
    }
    let mut answer = match &fault {
        Some(Fault::Problem(status, word, fields)) => {
            let kind = format!("urn:ietf:params:acme:error:{word}");
            let told = json!({ "type": kind, "detail": "told to", "status": status });
            fields.iter().fold(Answer::json(*status, &told), |answer, (name, value)| {
                answer.with(name, value.clone())
            })
        }
        Some(Fault::Raw(status, body)) => {
            let fields = vec![("Content-Type", "application/json".to_owned())];
            Answer { status: *status, fields, body: body.clone() }
        }
        Some(Fault::Page(status, fields)) => {
            Answer { status: *status, fields: fields.clone(), body: "<h1>away</h1>".to_owned() }
        }
        _ => {
            let payload = payload(&body);
            let mut state = state.lock().unwrap();
            state.right(step, number, &payload, fault.as_ref())
        }
    };
    if let Some(Fault::With(fields)) = fault {
        answer.fields.extend(fields);
    }
    let mut text = format!("HTTP/1.1 {} Told\r\n", answer.status);
    if !answer.fields.iter().any(|(name, _)| *name == "Date") {
        answer = answer.with("Date", httpdate::fmt_http_date(SystemTime::now()));
    }
    answer = answer.with("Replay-Nonce", format!("n{}", fastrand::u64(..)));
    let length = answer.body.len().to_string();
    answer = answer.with("Content-Length", length);
    for (name, value) in &answer.fields {
        text += &format!("{name}: {value}\r\n");
    }
    text += "Connection: close\r\n\r\n";
    if !head.first.starts_with("HEAD") {
        text += &answer.body;
    }
    // Who asked may have gone.
    let _ = wire.write_all(text.as_bytes()).await;
    let _ = wire.shutdown().await;
}

/// What a signed body says (RFC 7515 §7.2.2).
fn payload(body: &str) -> Value {
    let signed: Value = serde_json::from_str(body).unwrap_or_default();
    let payload = signed["payload"].as_str().unwrap_or_default();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&payload).unwrap_or_default()
}
