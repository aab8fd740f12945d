//! A proxy before an authority that may go wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::sleep;

use super::authority::{Authority, Step};
use crate::actors::{Backend, Certificates, Session, within};
use crate::proxy::Proxy;

/// Longer than an order waits after its first failure, and than an authority of the tests asks for.
const HEALED_WITHIN: Duration = Duration::from_secs(180);

/// A proxy that orders for `new.test`, and has a certificate for `served.test`.
pub struct OrderedSite {
    pub authority: Authority,
    pub proxy: Proxy,
    /// The directory of state of this authority.
    pub state: PathBuf,
    served: Certificates,
    _dir: TempDir,
    _backend: Backend,
}

impl OrderedSite {
    /// Starts it once the authority and the directory of its state are prepared; with `more` in
    /// `[acme]`.
    pub async fn start(prepare: impl FnOnce(&Authority, &Path), more: &str) -> OrderedSite {
        let (backend, authority) = (Backend::echo("one").await, Authority::start().await);
        let dir = tempfile::tempdir().unwrap();
        let served = Certificates::new(&["served.test"]);
        let place = authority.directory().replace("http://", "").replace([':', '/'], "_");
        let state = dir.path().join("state").join(place);
        let certificates = state.join("certificates");
        fs::create_dir_all(&certificates).unwrap();
        let read = |name: &str| fs::read_to_string(served.path().join(name)).unwrap();
        let text = read("site.pem") + &read("site.key");
        fs::write(certificates.join("served.test.pem"), text).unwrap();
        prepare(&authority, &state);
        let proxy = Proxy::start_with(&format!(
            "[acme]\nagree_to_terms = true\nstate = \"{}\"\ndirectory = \"{}\"\n{more}\n\
             [listeners.plain]\naddress = \"127.0.0.1:0\"\n\
             [listeners.https]\naddress = \"127.0.0.2:0\"\n\
             tls.acme = [\"new.test\", \"served.test\"]\n\
             [pools.chat]\nbackends = \"{}\"\n\
             [[routes]]\npool = \"chat\"\nallowed_origins = \"any\"\n\
             [drain]\ndelay = \"0s\"\nwindow = \"0s\"\n",
            dir.path().join("state").display(),
            authority.directory(),
            backend.address(),
        ));
        OrderedSite { authority, proxy, state, served, _dir: dir, _backend: backend }
    }

    /// A session that was there before.
    pub async fn session(&self) -> Session {
        let client = self.proxy.client_of("https").trusting(&self.served.ca()).host("served.test");
        within("the certificate that is there", async {
            while client.connect().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        client.open().await
    }

    pub async fn is_ordered(&self) -> bool {
        let client = self.proxy.client_of("https").trusting(&self.authority.ca());
        client.host("new.test").connect().await.is_ok()
    }

    /// Waits until clients are shown the authority's certificate; how long that took.
    pub async fn healed(&self) -> Option<Duration> {
        let begun = Instant::now();
        while !self.is_ordered().await {
            if begun.elapsed() > HEALED_WITHIN {
                return None;
            }
            sleep(Duration::from_millis(250)).await;
        }
        Some(begun.elapsed())
    }

    /// What is said of the name, once something is.
    pub async fn error(&self) -> String {
        let begun = Instant::now();
        loop {
            let stands = self.proxy.ordered("new.test");
            if let Some(error) = stands.error {
                return error;
            }
            if begun.elapsed() > Duration::from_secs(60) {
                return format!("nothing; {:?}", self.authority.asked(Step::Order));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}
