//! The configuration most tests need: a listener, a pool, a route; and lines added to each.

use std::fmt::{Display, Write as _};

use crate::actors::{Backend, Certificates};

/// A site with one listener, `plain`, one pool, `chat`, and one route, `all`, to it.
#[derive(Clone, Default)]
pub struct Site {
    listener: String,
    pool: String,
    route: String,
    rest: String,
    backends: String,
}

/// A site of these backends.
pub fn site(backends: &[&Backend]) -> Site {
    let mut site = Site::default();
    for backend in backends {
        site = site.backend(backend.address());
    }
    site
}

impl Site {
    /// Adds a backend that is no [`Backend`], or on a unix socket.
    pub fn backend(mut self, address: impl Display) -> Site {
        write!(self.backends, "\"{address}\", ").unwrap();
        self
    }

    /// Adds a line to the listener.
    pub fn listener(mut self, line: &str) -> Site {
        self.listener += line;
        self.listener.push('\n');
        self
    }

    /// Makes the listener speak TLS.
    pub fn tls(self, certificates: &Certificates) -> Site {
        self.listener(&format!("tls.certificates = {}", certificates.toml()))
    }

    /// Adds a listener `https` with these certificates and lines beside the plain one.
    pub fn https(self, certificates: &[&Certificates], lines: &str) -> Site {
        let entries: Vec<String> = certificates.iter().map(|one| one.entry()).collect();
        // Of two listeners on port 0 each has an address of its own.
        self.table(&format!(
            "[listeners.https]\naddress = \"127.0.0.2:0\"\n\
             tls.certificates = [{}]\n{lines}",
            entries.join(", ")
        ))
    }

    /// Adds a line to the pool.
    pub fn pool(mut self, line: &str) -> Site {
        self.pool += line;
        self.pool.push('\n');
        self
    }

    /// Adds a line to the route.
    pub fn route(mut self, line: &str) -> Site {
        self.route += line;
        self.route.push('\n');
        self
    }

    /// Adds a table of its own.
    pub fn table(mut self, text: &str) -> Site {
        self.rest += text;
        self.rest.push('\n');
        self
    }

    /// The file. A stop drains at once, unless a test says otherwise.
    pub fn toml(&self) -> String {
        let Site { listener, pool, route, rest, backends } = self;
        let drain = match rest.contains("[drain]") {
            true => "",
            false => "[drain]\ndelay = \"0s\"\nwindow = \"0s\"\n",
        };
        format!(
            "workers = 2\n\n\
             [listeners.plain]\naddress = \"127.0.0.1:0\"\n{listener}\n\
             [pools.chat]\nbackends = [{backends}]\n{pool}\n{rest}{drain}\n\
             [[routes]]\nname = \"all\"\npool = \"chat\"\n{route}"
        )
    }
}
