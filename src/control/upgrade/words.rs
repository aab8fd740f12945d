//! What the two processes of an upgrade say to each other: lines of JSON over a [`Link`].
//!
//! ```text
//! old  hello      which version of this is spoken, how much follows
//! old  sockets    listening sockets, with their descriptors
//! old  older      links to processes older than the old one, with their descriptors
//! new  ready      it has its configuration and its sockets; which of them it takes
//! old  go         it accepts no more: now the new one does, with what it needs to
//!                 go on: the operator's orders that stand, pools that are being
//!                 levelled, the keys of TLS tickets, keys of tokens that were fetched
//! new  serving    it accepts
//! old  left       what lives there still, until it ends
//! old  reload     it was asked to reload: the new one is the one to do it
//! new  ask        a command to the new one, for what lives in the old one too
//! new  more       the next piece of a question's body
//! old  answer     a piece of what came of it; with the last one its status
//! new  stop       it stops: so shall the old one, when its own drain begins
//! ```
//!
//! In place of `ready` or `serving` the new process may say that it `failed`.
//!
//! [`Link`]: crate::base::link::Link

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::pool_rows::{DisabledBackend, FoundRow, RebalanceRow};
use crate::access::FetchedKeys;
use crate::admin::OlderQuestion;
use crate::config::plan::Address;
use crate::listen::{Handover, Origin};
use crate::tls::TicketSecrets;

/// The version of these words. A process that speaks another one refuses the upgrade.
pub(super) const VERSION: u32 = 1;

/// Set for the new process, whose standard input is then the link: the version.
pub(super) const VARIABLE: &str = "TIDEGATE_UPGRADE";

/// Bytes of a piece of a question or an answer; escaped it is far below what a line may have.
pub(super) const PIECE_BYTES_MAX: usize = 64 << 10;

/// What the old process says.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Old {
    /// First of all.
    Hello {
        version: u32,
        pid: u32,
        /// The new process's number in its row of upgrades.
        number: u64,
        /// Sockets that follow.
        sockets: usize,
        /// Links that follow.
        older: usize,
        /// Whether it takes commands from the new process.
        #[serde(default)]
        commands: bool,
        /// Members of pools that were found.
        #[serde(default)]
        found: Vec<FoundRow>,
    },
    Sockets {
        sockets: Vec<SocketRow>,
    },
    Older {
        older: Vec<OlderProcess>,
    },
    Go {
        /// Backends that a command keeps work from.
        #[serde(default)]
        disabled: Vec<DisabledBackend>,
        /// By what TLS sessions are resumed.
        #[serde(default)]
        tickets: Option<TicketKeysRow>,
        /// The number of its last drain: the new process counts on from there.
        #[serde(default)]
        drains: u64,
        /// Pools that are uneven, or being levelled.
        #[serde(default)]
        rebalances: Vec<RebalanceRow>,
        /// Keys of tokens that were fetched.
        #[serde(default)]
        keys: Vec<FetchedKeysRow>,
        /// Sessions that live there: it may end before it says what is left.
        #[serde(default)]
        sessions: Option<usize>,
    },
    Left {
        sessions: usize,
    },
    Answer {
        /// That of the question.
        number: u64,
        /// The next piece of the answer's JSON, of at most [`PIECE_BYTES_MAX`].
        piece: String,
        /// Its HTTP status, with the last piece.
        #[serde(default)]
        status: Option<u16>,
    },
    /// A reload was asked of the old process: the new one shall look whether anything changed.
    Reload,
}

/// A set of keys that was fetched by URL.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(in crate::control) struct FetchedKeysRow {
    /// The access rule's name.
    rule: String,
    url: String,
    text: String,
    age_ms: u64,
}

impl FetchedKeysRow {
    /// Bytes of all of them in a line at most: of what is over that, the new process has to fetch
    /// its own.
    const BYTES_MAX: usize = 512 << 10;

    /// As many as there is room for, the smallest first; and the rules of the others.
    pub(super) fn that_fit(mut sets: Vec<FetchedKeys>) -> (Vec<FetchedKeysRow>, Vec<Arc<str>>) {
        sets.sort_by_key(|set| set.text.len());
        let (mut rows, mut left, mut bytes) = (Vec::new(), Vec::new(), 0);
        for set in sets {
            let rule = Arc::clone(&set.rule);
            let row = FetchedKeysRow::from(set);
            bytes += line(&row).len();
            if bytes > FetchedKeysRow::BYTES_MAX { left.push(rule) } else { rows.push(row) }
        }
        (rows, left)
    }
}

impl From<FetchedKeys> for FetchedKeysRow {
    fn from(FetchedKeys { rule, url, text, age }: FetchedKeys) -> FetchedKeysRow {
        FetchedKeysRow {
            rule: rule.to_string(),
            url: url.to_string(),
            text: text.to_string(),
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl From<&FetchedKeysRow> for FetchedKeys {
    fn from(row: &FetchedKeysRow) -> FetchedKeys {
        FetchedKeys {
            rule: (&*row.rule).into(),
            url: (&*row.url).into(),
            text: (&*row.text).into(),
            age: Duration::from_millis(row.age_ms),
        }
    }
}

/// The keys of TLS tickets. They are for the new process only: nothing prints them.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub(in crate::control) struct TicketKeysRow {
    /// In base64, each with the seconds it is used for: the one that seals, then the one before.
    keys: Vec<(String, u64)>,
}

impl fmt::Debug for TicketKeysRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeysRow")
    }
}

impl From<TicketSecrets> for TicketKeysRow {
    fn from(secrets: TicketSecrets) -> TicketKeysRow {
        let row = |(key, left): &(Vec<u8>, Duration)| (STANDARD.encode(key), left.as_secs());
        TicketKeysRow { keys: secrets.keys.iter().map(row).collect() }
    }
}

impl From<&TicketKeysRow> for TicketSecrets {
    fn from(row: &TicketKeysRow) -> TicketSecrets {
        // What is not base64 is no key, and is refused as such.
        let key = |(text, seconds): &(String, u64)| {
            (STANDARD.decode(text).unwrap_or_default(), Duration::from_secs(*seconds))
        };
        TicketSecrets { keys: row.keys.iter().map(key).collect() }
    }
}

/// What the new process says.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum New {
    Ready {
        taken: Vec<SocketAddress>,
    },
    Serving,
    /// It ends.
    Failed {
        /// The configuration is refused; then `why` is its report.
        config: bool,
        why: String,
    },
    Ask {
        /// Its own for each question.
        number: u64,
        #[serde(flatten)]
        question: OlderQuestion,
        /// Whether more of its body follows.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    More {
        /// That of the question.
        number: u64,
        /// The next piece of its body, of at most [`PIECE_BYTES_MAX`].
        piece: String,
        /// Whether more follows.
        more: bool,
    },
    Stop {
        /// Milliseconds until its own drain begins, and so shall the old one's.
        #[serde(default)]
        after_ms: u64,
        /// Milliseconds that the drain may take; as the old one's configuration has it where it is
        /// not said.
        #[serde(default)]
        within_ms: Option<u64>,
    },
}

/// A listening socket.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(super) struct SocketRow {
    pub(super) at: SocketAddress,
    /// The only listener that it is for, where the system chose the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listener: Option<String>,
    /// The service manager's name for it, where it is a service manager's.
    pub(super) manager: Option<String>,
    /// Whether the new process shall remove its file.
    pub(super) file: bool,
}

/// A process that was replaced and has not ended.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(super) struct OlderProcess {
    pub(super) pid: u32,
    /// Sessions it had when it last said so; none where it has not said yet.
    pub(super) sessions: Option<usize>,
    /// Whether it takes commands from a newer process.
    #[serde(default)]
    pub(super) commands: bool,
}

/// An address.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum SocketAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl From<&Address> for SocketAddress {
    fn from(address: &Address) -> SocketAddress {
        match address {
            Address::Inet(address) => SocketAddress::Tcp(*address),
            Address::Unix(path) => SocketAddress::Unix(path.clone()),
        }
    }
}

impl From<SocketAddress> for Address {
    fn from(place: SocketAddress) -> Address {
        match place {
            SocketAddress::Tcp(address) => Address::Inet(address),
            SocketAddress::Unix(path) => Address::Unix(path),
        }
    }
}

impl From<&Handover<'_>> for SocketRow {
    fn from(handover: &Handover<'_>) -> SocketRow {
        let (manager, file) = match &handover.origin {
            Origin::Manager { name } => (Some(name.clone()), false),
            Origin::Process { file } => (None, *file),
        };
        let listener = handover.listener.as_deref().map(str::to_owned);
        SocketRow { at: (&handover.address).into(), listener, manager, file }
    }
}

impl SocketRow {
    /// Whose it is for the process that takes it.
    pub(super) fn origin(&self) -> Origin {
        match &self.manager {
            Some(name) => Origin::Manager { name: name.clone() },
            None => Origin::Process { file: self.file },
        }
    }
}

/// A word as a line.
pub(super) fn line(word: &impl Serialize) -> String {
    // Cannot fail: every word is made of strings and numbers; a path came from the configuration,
    // which is UTF-8. Where it is not, the other side does not understand an empty line.
    serde_json::to_string(word).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_along_as_far_as_there_is_room_in_a_line() {
        let set = |rule: &str, bytes| FetchedKeys {
            rule: rule.into(),
            url: "a:1 a /keys".into(),
            text: "\"".repeat(bytes).into(),
            age: Duration::from_secs(7),
        };
        let sets = vec![set("large", 300 << 10), set("small", 4), set("middle", 100 << 10)];
        let (rows, left) = FetchedKeysRow::that_fit(sets.clone());
        assert_eq!(left, ["large".into()]);
        let read: Vec<FetchedKeys> = rows.iter().map(Into::into).collect();
        assert_eq!(read, [sets[1].clone(), sets[2].clone()]);
        assert!(line(&rows).len() < 600 << 10, "escaped");
    }

    #[test]
    fn words_are_read_back_and_what_a_later_version_adds_is_passed_over() {
        let socket = |at| SocketRow { at, listener: None, manager: None, file: true };
        let said = Old::Sockets {
            sockets: vec![
                socket(SocketAddress::Tcp("[::1]:443".parse().unwrap())),
                socket(SocketAddress::Unix("/run/a.sock".into())),
            ],
        };
        assert_eq!(serde_json::from_str::<Old>(&line(&said)).unwrap(), said);
        // As before listeners were named: it is for whichever asks for the address.
        let before = r#"{"at":{"tcp":"[::1]:0"},"manager":null,"file":false}"#;
        assert_eq!(serde_json::from_str::<SocketRow>(before).unwrap().listener, None);
        assert_eq!(
            serde_json::from_str::<New>(r#"{"say":"serving","since":7}"#).unwrap(),
            New::Serving
        );
        assert!(serde_json::from_str::<New>(r#"{"say":"what"}"#).is_err());
        // As before the delay of a stop was said: at once.
        let stop = serde_json::from_str::<New>(r#"{"say":"stop"}"#).unwrap();
        assert_eq!(stop, New::Stop { after_ms: 0, within_ms: None });
        // As before anything was handed over with it.
        let go = serde_json::from_str::<Old>(r#"{"say":"go"}"#).unwrap();
        let (disabled, rebalances, keys) = (Vec::new(), Vec::new(), Vec::new());
        assert_eq!(
            go,
            Old::Go { disabled, tickets: None, drains: 0, rebalances, keys, sessions: None }
        );
        // As before commands were passed on.
        let hello = r#"{"say":"hello","version":1,"pid":7,"number":2,"sockets":0,"older":0}"#;
        let Old::Hello { commands, found, .. } = serde_json::from_str(hello).unwrap() else {
            panic!()
        };
        assert_eq!((commands, found), (false, Vec::new()));
    }
}
