//! Tickets, by which clients resume TLS sessions (RFC 8446 §4.6.1, RFC 5077): sealed by keys that
//! all listeners of the process share and the next process is given, so that nothing about
//! sessions is stored and clients resume over reloads and upgrades.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;

use crate::base::clock::{self, Moment};

/// For how long a key seals tickets; for as long again it opens them.
pub const KEY_TIME: Duration = Duration::from_secs(6 * 60 * 60);

const NAME_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// Bytes of a key as it is given to the next process: its name, its secret.
const KEY_BYTES: usize = NAME_BYTES + SECRET_BYTES;

/// The keys of this process, once a listener has asked for them.
static TICKETS: OnceLock<Arc<Tickets>> = OnceLock::new();

/// Seals and opens tickets.
#[derive(Debug)]
pub(super) struct Tickets(ArcSwap<TicketKeys>);

/// The key that seals, and the one before, which opens what it has sealed.
#[derive(Debug)]
struct TicketKeys {
    present: TicketKey,
    /// Until when the present one seals.
    until: Moment,
    /// With the moment until which it opens.
    before: Option<(TicketKey, Moment)>,
}

#[derive(Clone)]
struct TicketKey {
    /// Tells keys apart in a ticket (RFC 5077 §4).
    name: [u8; NAME_BYTES],
    secret: [u8; SECRET_BYTES],
    cipher: Arc<RandomizedNonceKey>,
}

/// The keys as the next process is given them. Who has them can read what sessions say that were
/// resumed by tickets of TLS 1.2, so that they are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecrets {
    /// The key that seals and for how long it does, then the one before and for how long it opens.
    pub keys: Vec<(Vec<u8>, Duration)>,
}

/// There is no key: the system gives no random bytes, or what was given is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoTicketKey;

impl fmt::Display for NoTicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no key for TLS tickets")
    }
}

/// The tickets of this process.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn shared() -> Result<Arc<Tickets>, NoTicketKey> {
    if let Some(made) = TICKETS.get() {
        return Ok(Arc::clone(made));
    }
    // Where two threads get here at once, one of the two is thrown away.
    let until = clock::now().after(KEY_TIME);
    let keys = TicketKeys { present: TicketKey::random()?, before: None, until };
    let new = Arc::new(Tickets(ArcSwap::from_pointee(keys)));
    Ok(Arc::clone(TICKETS.get_or_init(|| new)))
}

/// Tickets of one listener alone: a ticket stands for the certificate that its client has shown,
/// and of another listener's clients none was asked for.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn of_one_listener() -> Result<Arc<Tickets>, NoTicketKey> {
    let until = clock::now().after(KEY_TIME);
    let keys = TicketKeys { present: TicketKey::random()?, before: None, until };
    Ok(Arc::new(Tickets(ArcSwap::from_pointee(keys))))
}

/// The keys for the next process; `None` where no listener has tickets.
pub fn ticket_secrets() -> Option<TicketSecrets> {
    Some(TICKETS.get()?.secrets(clock::now()))
}

/// Takes the keys of the process before this one.
///
/// # Errors
/// They are none of these.
pub fn take_ticket_secrets(secrets: &TicketSecrets) -> Result<(), NoTicketKey> {
    shared()?.take(secrets, clock::now())
}

impl Tickets {
    fn secrets(&self, now: Moment) -> TicketSecrets {
        let keys = self.keys(now);
        let told = |key: &TicketKey, until: Moment| {
            ([&key.name[..], &key.secret].concat(), until.since(now))
        };
        let before = keys.before.iter().map(|(key, until)| told(key, *until));
        TicketSecrets {
            keys: [told(&keys.present, keys.until)].into_iter().chain(before).collect(),
        }
    }

    fn take(&self, secrets: &TicketSecrets, now: Moment) -> Result<(), NoTicketKey> {
        let read = |(bytes, left): &(Vec<u8>, Duration)| {
            Ok((TicketKey::read(bytes)?, now.after(*left.min(&KEY_TIME))))
        };
        let (present, until) = read(secrets.keys.first().ok_or(NoTicketKey)?)?;
        let before = secrets.keys.get(1).map(read).transpose()?;
        self.0.store(Arc::new(TicketKeys { present, before, until }));
        Ok(())
    }

    /// The keys at this moment. Old ones are replaced as they are looked for: no timer does it.
    fn keys(&self, now: Moment) -> Arc<TicketKeys> {
        let keys = self.0.load_full();
        if now < keys.until {
            return keys;
        }
        let before = Some((keys.present.clone(), keys.until.after(KEY_TIME)));
        // Without random bytes the old key seals on.
        let Ok(present) = TicketKey::random() else { return keys };
        let new = Arc::new(TicketKeys { present, before, until: now.after(KEY_TIME) });
        self.0.compare_and_swap(&keys, new);
        self.0.load_full()
    }

    fn seal(&self, plain: &[u8], now: Moment) -> Option<Vec<u8>> {
        let keys = self.keys(now);
        let TicketKey { name, cipher, .. } = &keys.present;
        let mut sealed = plain.to_vec();
        let nonce = cipher.seal_in_place_append_tag(Aad::from(name), &mut sealed).ok()?;
        Some([&name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, ticket: &[u8], now: Moment) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_BYTES)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let keys = self.keys(now);
        let before = keys.before.as_ref().filter(|(_, until)| now < *until).map(|(key, _)| key);
        let mut all = [&keys.present].into_iter().chain(before);
        let key = all.find(|key| key.name == *name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = sealed.to_vec();
        let length = key.cipher.open_in_place(nonce, Aad::from(name), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        // The shortest that a ticket of this moment may be opened for.
        KEY_TIME.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, clock::now())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket, clock::now())
    }
}

impl TicketKey {
    fn random() -> Result<TicketKey, NoTicketKey> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| NoTicketKey)?;
        TicketKey::read(&bytes)
    }

    fn read(bytes: &[u8]) -> Result<TicketKey, NoTicketKey> {
        let bytes = <&[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| NoTicketKey)?;
        let (mut name, mut secret) = ([0; NAME_BYTES], [0; SECRET_BYTES]);
        name.copy_from_slice(&bytes[..NAME_BYTES]);
        secret.copy_from_slice(&bytes[NAME_BYTES..]);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &secret).map_err(|_| NoTicketKey)?;
        Ok(TicketKey { name, secret, cipher: Arc::new(cipher) })
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey")
    }
}

impl fmt::Debug for TicketSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(now: Moment) -> Tickets {
        let present = TicketKey::random().unwrap();
        let until = now.after(KEY_TIME);
        Tickets(ArcSwap::from_pointee(TicketKeys { present, before: None, until }))
    }

    #[test]
    fn a_ticket_is_opened_for_one_key_time_at_least_and_for_two_at_most() {
        let hours = |hours: u64| Moment::from_millis(hours * 3_600_000);
        let tickets = tickets(hours(100));
        let early = tickets.seal(b"early", hours(100)).unwrap();
        let late = tickets.seal(b"late", hours(105)).unwrap();
        for (ticket, plain) in [(&early, b"early".as_slice()), (&late, b"late")] {
            assert_eq!(tickets.open(ticket, hours(111)).as_deref(), Some(plain));
            assert_eq!(tickets.open(ticket, hours(112)), None);
        }
        // A process that saw no handshake for a day.
        let lone = tickets.seal(b"lone", hours(112)).unwrap();
        assert_eq!(tickets.open(&lone, hours(136)), None);
    }

    #[test]
    fn what_is_no_ticket_of_ours_is_not_opened() {
        let now = Moment::from_millis(1);
        let (ours, other) = (tickets(now), tickets(now));
        let ticket = ours.seal(b"state", now).unwrap();
        assert_eq!(ours.open(&ticket, now).unwrap(), b"state");
        assert_eq!(other.open(&ticket, now), None);
        for length in 0..ticket.len() {
            assert_eq!(ours.open(&ticket[..length], now), None, "{length}");
        }
        for at in 0..ticket.len() {
            let mut flipped = ticket.clone();
            flipped[at] ^= 1;
            assert_eq!(ours.open(&flipped, now), None, "{at}");
        }
    }

    #[test]
    fn the_next_process_opens_what_this_one_has_sealed_and_knows_for_how_long() {
        let hours = |hours: u64| Moment::from_millis(hours * 3_600_000);
        let old = tickets(hours(100));
        let first = old.seal(b"first", hours(100)).unwrap();
        let second = old.seal(b"second", hours(107)).unwrap();
        let secrets = old.secrets(hours(108));
        let left: Vec<_> = secrets.keys.iter().map(|(_, left)| left.as_secs() / 3_600).collect();
        assert_eq!((left.as_slice(), &*format!("{secrets:?}")), (&[5, 4][..], "TicketSecrets"));
        // Its clock has just begun.
        let new = tickets(hours(0));
        new.take(&secrets, hours(0)).unwrap();
        assert_eq!(new.open(&first, hours(3)).unwrap(), b"first");
        assert_eq!(new.open(&first, hours(4)), None);
        assert_eq!(new.open(&second, hours(10)).unwrap(), b"second");
        let nonsense = TicketSecrets { keys: vec![(vec![1; 7], KEY_TIME)] };
        assert_eq!(new.take(&nonsense, hours(10)), Err(NoTicketKey));
        let none = TicketSecrets { keys: Vec::new() };
        assert_eq!(new.take(&none, hours(10)), Err(NoTicketKey));
        assert_eq!(new.open(&second, hours(10)).unwrap(), b"second", "it is as it was");
    }
}
