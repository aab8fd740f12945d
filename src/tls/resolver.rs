//! Which certificate a client gets: by the name it asks for (SNI, RFC 6066 §3).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::plan::Certificate;

thread_local! {
    /// The name of the last ClientHello on this thread. rustls' unbuffered connection does not tell
    /// it, but calls the resolver from inside `Engine::open`, whose caller takes it from here.
    static HEARD: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The name asked for in a ClientHello that was opened on this thread since the last call.
pub(super) fn take_heard() -> Option<Arc<str>> {
    HEARD.take()
}

/// The certificates of a listener: exact name, then wildcard, then the first. Where several have
/// the name, the first whose signature the client understands (RSA beside ECDSA).
#[derive(Debug)]
pub(super) struct Resolver {
    all: Vec<Arc<CertifiedKey>>,
    exact: HashMap<Arc<str>, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<Arc<str>, Vec<usize>>,
    /// Whether a name that none has gets none.
    is_strict: bool,
}

impl Resolver {
    /// `certificates` in the order of preference, at least one.
    pub(super) fn new(certificates: &[Certificate], is_strict: bool) -> Resolver {
        let mut new = Resolver {
            all: certificates.iter().map(|certificate| Arc::clone(&certificate.loaded)).collect(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            is_strict,
        };
        for (index, certificate) in certificates.iter().enumerate() {
            for name in &certificate.names {
                let of_name = match name.strip_prefix("*.") {
                    Some(parent) => new.wildcard.entry(Arc::from(parent)),
                    None => new.exact.entry(Arc::clone(name)),
                };
                of_name.or_default().push(index);
            }
        }
        new
    }

    /// The indices of the certificates for a lower-case name; empty when none has it.
    fn of_name(&self, name: &str) -> &[usize] {
        let exact = self.exact.get(name);
        // A wildcard stands for one label (RFC 9525 §6.3).
        let wildcard = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        exact.or_else(wildcard).map_or(&[], Vec::as_slice)
    }

    fn choose(&self, name: Option<&str>, hello: &ClientHello<'_>) -> Option<&Arc<CertifiedKey>> {
        let speaks =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let mut named = name.map_or(&[][..], |name| self.of_name(name)).iter();
        let named = named.clone().map(|&index| &self.all[index]).find(speaks).or_else(|| {
            // Let rustls refuse the client in its own words.
            named.next().map(|&index| &self.all[index])
        });
        if self.is_strict {
            return named;
        }
        named.or_else(|| self.all.iter().find(speaks)).or_else(|| self.all.first())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let chosen = self.choose(name.as_deref(), &hello).cloned();
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
    use crate::tls::tests::certificate;

    #[test]
    fn an_exact_name_goes_before_a_wildcard_of_one_label() {
        let names = [&["a.example"][..], &["*.b.example", "b.example"], &["c.b.example"]];
        let resolver = Resolver::new(&names.map(|names| certificate(names).plan), false);
        let of_name = |name| resolver.of_name(name).to_vec();
        assert_eq!(of_name("a.example"), [0]);
        assert_eq!(of_name("x.b.example"), [1]);
        assert_eq!(of_name("b.example"), [1]);
        assert_eq!(of_name("c.b.example"), [2]);
        assert!(of_name("y.x.b.example").is_empty());
        assert!(of_name("example").is_empty());
    }
}
