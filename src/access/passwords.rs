//! Passwords: hashed off the workers, a few at once, and remembered for a while when right.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use tokio::sync::oneshot;

use crate::base::clock::{self, Moment};
use crate::base::network::ClientNetwork;
use crate::base::share::Shares;
use crate::wire::htpasswd::{Argon2idHash, PasswordHash};

/// Passwords that are hashed at once, each on a thread of its own.
const HASHING_MAX: usize = 2;

/// The name of such a thread.
const HASHING_THREAD: &str = "password";

/// Its niceness (setpriority(2), which on Linux is a thread's own): whoever tries passwords takes
/// the time that the workers leave, where there are no more cores than workers.
const HASHING_NICE: i32 = 10;

/// Passwords that wait to be hashed.
const WAITING_MAX: usize = 64;

/// For how long a password that was right need not be hashed again.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Right passwords that are remembered at most, of all rules.
const REMEMBERED_MAX: usize = 10_000;

/// Checks passwords; one for a process, so that the limits are its own.
pub struct PasswordChecker {
    /// Those under way and those that wait, by client.
    places: Arc<Shares>,
    /// Those under way, given to clients in turn.
    hashing: Arc<Shares>,
    /// Of this process alone: what is remembered is worth nothing outside of it.
    key: hmac::Key,
    known: Mutex<Remembered>,
}

impl fmt::Debug for PasswordChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordChecker")
    }
}

/// A password to check: whose, and against what.
pub(super) struct ShownPassword<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) hash: &'a PasswordHash,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Checked {
    /// It is the user's.
    Right,
    /// It is not.
    Wrong,
    /// It was not hashed: too many wait, or too many of this client.
    Busy,
}

impl PasswordChecker {
    /// One with nothing remembered.
    pub fn new() -> Arc<PasswordChecker> {
        let mut secret = [0; 32];
        // cannot fail: the system's source is there once a process runs; TLS stands on it too.
        getrandom::fill(&mut secret).expect("the system gives random bytes");
        Arc::new(PasswordChecker {
            places: Shares::new(HASHING_MAX + WAITING_MAX),
            hashing: Shares::new(HASHING_MAX),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            known: Mutex::default(),
        })
    }

    /// Checks a password. Dropping this while it waits frees its place; what is being hashed is
    /// hashed to its end, in its place.
    pub(super) async fn check(&self, attempt: ShownPassword<'_>, client: ClientNetwork) -> Checked {
        let seal = self.seal(&attempt);
        if self.known().contains(&seal, clock::now()) {
            return Checked::Right;
        }
        let Some(place) = self.places.try_take(client) else { return Checked::Busy };
        let turn = self.hashing.take(client).await;
        // Requests of one page come together: the first of them may have been right meanwhile.
        if self.known().contains(&seal, clock::now()) {
            return Checked::Right;
        }
        let (hash, password) = (attempt.hash.clone(), attempt.password.to_owned());
        let (done, hashed) = oneshot::channel();
        let hash = move || {
            // Where the system refuses, it hashes as one among equals.
            let _ = rustix::process::setpriority_process(None, HASHING_NICE);
            let is_right = matches(&hash, password.as_bytes());
            drop((turn, place));
            let _ = done.send(is_right);
        };
        let thread = thread::Builder::new().name(HASHING_THREAD.to_owned());
        if thread.spawn(hash).is_err() {
            return Checked::Busy;
        }
        match hashed.await {
            Ok(true) => {
                self.known().insert(seal, clock::now());
                Checked::Right
            }
            Ok(false) | Err(_) => Checked::Wrong,
        }
    }

    /// What stands for a user, a password and its hash in memory: a change of any is another.
    fn seal(&self, attempt: &ShownPassword<'_>) -> Seal {
        let mut context = hmac::Context::with_key(&self.key);
        let stored = match attempt.hash {
            PasswordHash::Bcrypt(text) => text.as_bytes(),
            PasswordHash::Argon2id(parts) => &parts.hash,
        };
        for part in [attempt.user.as_bytes(), attempt.password.as_bytes(), stored] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut seal = Seal::default();
        seal.copy_from_slice(context.sign().as_ref());
        seal
    }

    /// What a panic left behind is whole: every change is of one entry.
    fn known(&self) -> MutexGuard<'_, Remembered> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Seal = [u8; 32];

/// Seals and until when each holds, in two generations: the older one goes as a whole when the
/// younger is full.
#[derive(Default)]
struct Remembered {
    young: HashMap<Seal, Moment>,
    old: HashMap<Seal, Moment>,
}

impl Remembered {
    fn contains(&self, seal: &Seal, now: Moment) -> bool {
        let until = self.young.get(seal).or_else(|| self.old.get(seal));
        until.is_some_and(|until| now < *until)
    }

    fn insert(&mut self, seal: Seal, now: Moment) {
        if self.young.len() >= REMEMBERED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(seal, now.after(REMEMBERED));
    }
}

/// Whether a password has this hash. It takes as long as the hash was made to take.
fn matches(hash: &PasswordHash, password: &[u8]) -> bool {
    match hash {
        PasswordHash::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
        PasswordHash::Argon2id(parts) => argon2id(parts, password).unwrap_or(false),
    }
}

fn argon2id(parts: &Argon2idHash, password: &[u8]) -> Option<bool> {
    let Argon2idHash { memory, passes, lanes, salt, hash } = parts;
    let params = Params::new(*memory, *passes, *lanes, Some(hash.len())).ok()?;
    let mut made = vec![0; hash.len()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password, salt, &mut made).ok()?;
    Some(verify_slices_are_equal(&made, hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The niceness of this process's threads of that name (proc_pid_stat(5), field 19).
    fn niceness(thread: &str) -> Vec<i32> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let stats =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        let named = stats.filter(|stat| stat.contains(&format!("({thread})")));
        named.filter_map(|stat| stat.rsplit_once(')')?.1.split(' ').nth(17)?.parse().ok()).collect()
    }

    #[tokio::test]
    async fn a_password_is_hashed_by_a_thread_that_gives_way_to_the_workers() {
        let checker = PasswordChecker::new();
        // Slow enough to be looked at.
        let hash = PasswordHash::Bcrypt(bcrypt::hash("secret", 10).unwrap().into());
        let shown = |password| ShownPassword { user: "ada", password, hash: &hash };
        let mut check = std::pin::pin!(checker.check(shown("wrong"), ClientNetwork::Unshared));
        let mut seen = Vec::new();
        let checked = loop {
            match tokio::time::timeout(Duration::from_millis(1), &mut check).await {
                Ok(checked) => break checked,
                Err(_) => seen.extend(niceness(HASHING_THREAD)),
            }
        };
        assert_eq!(checked, Checked::Wrong);
        assert!(seen.contains(&HASHING_NICE), "{seen:?}");
        assert_eq!(niceness("main").first().copied().unwrap_or(0), 0);
        assert_eq!(checker.check(shown("secret"), ClientNetwork::Unshared).await, Checked::Right);
    }
}
