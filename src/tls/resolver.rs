//! Which certificate a client gets: by the name it asks for (SNI, RFC 6066 §3).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::plan::ServerTls;

use super::error::TlsError;
use super::issued::{self, IssuedCertificates};

thread_local! {
    /// The name of the last ClientHello on this thread. rustls' unbuffered connection does not tell
    /// it, but calls the resolver from inside `Engine::open`, whose caller takes it from here.
    static HEARD: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The name asked for in a ClientHello that was opened on this thread since the last call.
pub(super) fn take_heard() -> Option<Arc<str>> {
    HEARD.take()
}

/// Where a certificate comes from.
#[derive(Debug)]
enum CertificateSource {
    /// The one that was ordered for this name, once it has come.
    Ordered(Arc<str>),
    /// One that was read with the configuration.
    Read(Arc<CertifiedKey>),
}

/// The certificates of a listener: exact name, then wildcard, then the first. Where several have
/// the name, the first whose signature the client understands (RSA beside ECDSA), and the one that
/// was ordered for it before those that were read.
#[derive(Debug)]
pub(super) struct Resolver {
    all: Vec<CertificateSource>,
    exact: HashMap<Arc<str>, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<Arc<str>, Vec<usize>>,
    /// Whether a name that none has gets none.
    is_strict: bool,
    issued: Arc<IssuedCertificates>,
    /// For names whose own has not come; there is one where certificates are ordered.
    stand_in: Option<Arc<CertifiedKey>>,
}

impl Resolver {
    /// Those of a listener, which names one at least, or has one ordered.
    ///
    /// # Errors
    /// The certificate cannot be made that stands in for those to come.
    pub(super) fn new(
        tls: &ServerTls,
        issued: &Arc<IssuedCertificates>,
    ) -> Result<Resolver, TlsError> {
        let mut new = Resolver {
            all: Vec::new(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            is_strict: tls.strict_sni,
            issued: Arc::clone(issued),
            stand_in: (!tls.acme.is_empty()).then(|| issued::stand_in(&tls.acme)).transpose()?,
        };
        for name in &tls.acme {
            new.add(CertificateSource::Ordered(Arc::clone(name)), std::slice::from_ref(name));
        }
        for read in &tls.certificates {
            new.add(CertificateSource::Read(Arc::clone(&read.loaded)), &read.names);
        }
        Ok(new)
    }

    fn add(&mut self, source: CertificateSource, names: &[Arc<str>]) {
        for name in names {
            let of_name = match name.strip_prefix("*.") {
                Some(parent) => self.wildcard.entry(Arc::from(parent)),
                None => self.exact.entry(Arc::clone(name)),
            };
            of_name.or_default().push(self.all.len());
        }
        self.all.push(source);
    }

    /// The indices of the certificates for a lower-case name; empty when none has it.
    fn of_name(&self, name: &str) -> &[usize] {
        let exact = self.exact.get(name);
        // A wildcard stands for one label (RFC 9525 §6.3).
        let wildcard = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        exact.or_else(wildcard).map_or(&[], Vec::as_slice)
    }

    /// The certificate of this source, as it is at this moment.
    fn present(&self, source: &CertificateSource) -> Option<Arc<CertifiedKey>> {
        match source {
            CertificateSource::Read(key) => Some(Arc::clone(key)),
            CertificateSource::Ordered(name) => self.issued.key(name),
        }
    }

    fn choose(&self, name: Option<&str>, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let speaks =
            |key: &Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let indices = name.map_or(&[][..], |name| self.of_name(name));
        let mut present = indices.iter().filter_map(|&index| self.present(&self.all[index]));
        let named = present.clone().find(speaks);
        // Let rustls refuse the client in its own words.
        let named = named.or_else(|| present.next());
        // Its own has not come yet.
        let named = named.or_else(|| self.stand_in.clone().filter(|_| !indices.is_empty()));
        if named.is_some() || self.is_strict {
            return named;
        }
        let mut all = self.all.iter().filter_map(|source| self.present(source));
        all.clone().find(speaks).or_else(|| all.next()).or_else(|| self.stand_in.clone())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let chosen = self.choose(name.as_deref(), &hello);
        HEARD.set(name.map(|name| match self.exact.get_key_value(name.as_str()) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(name),
        }));
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::{certificate, server_tls};

    #[test]
    fn an_exact_name_goes_before_a_wildcard_of_one_label() {
        let names = [&["a.example"][..], &["*.b.example", "b.example"], &["c.b.example"]];
        let made = names.map(certificate);
        let tls = server_tls(&made.each_ref());
        let resolver = Resolver::new(&tls, &Arc::default()).unwrap();
        let of_name = |name| resolver.of_name(name).to_vec();
        assert_eq!(of_name("a.example"), [0]);
        assert_eq!(of_name("x.b.example"), [1]);
        assert_eq!(of_name("b.example"), [1]);
        assert_eq!(of_name("c.b.example"), [2]);
        assert!(of_name("y.x.b.example").is_empty());
        assert!(of_name("example").is_empty());
    }
}
