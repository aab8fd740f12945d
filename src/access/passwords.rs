//! Passwords: hashed off the workers, a few at once, and remembered for a while when right.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use tokio::sync::oneshot;

use crate::base::background;
use crate::base::clock::{self, Moment};
use crate::base::network::ClientNetwork;
use crate::base::share::Shares;
use crate::wire::htpasswd::{Argon2idHash, PasswordHash};

/// Passwords that are hashed at once, each on a thread of its own.
const LOGINS_MAX: usize = 2;

/// Those of clients that guess, beside them: on a busy machine one takes minutes.
const GUESSES_MAX: usize = 1;

/// The name of such a thread.
const HASHING_THREAD: &str = "password";

/// Passwords that wait to be hashed, of logins and of guesses each.
const WAITING_MAX: usize = 64;

/// For how long a password that was right need not be hashed again.
const REMEMBERED: Duration = Duration::from_secs(300);

/// For how long a client that was wrong is one that guesses: its next password is hashed in time
/// that nobody else wants. One who logs in has a share of a busy machine.
const GUESSING: Duration = Duration::from_secs(60);

/// Right passwords that are remembered at most, of all rules, and clients that guess.
const REMEMBERED_MAX: usize = 10_000;

/// Checks passwords; one for a process, so that the limits are its own.
pub struct PasswordChecker {
    logins: HashQueue,
    /// Those of clients that guess: they may take long, and nobody else waits behind one.
    guesses: HashQueue,
    /// Of this process alone: what is remembered is worth nothing outside of it.
    key: hmac::Key,
    known: Mutex<Remembered<Seal>>,
    guessers: Mutex<Remembered<ClientNetwork>>,
}

/// Passwords to hash.
struct HashQueue {
    /// Those under way and those that wait, by client.
    places: Arc<Shares>,
    /// Those under way, given to clients in turn.
    hashing: Arc<Shares>,
}

impl HashQueue {
    fn new(hashing: usize) -> HashQueue {
        HashQueue { places: Shares::new(hashing + WAITING_MAX), hashing: Shares::new(hashing) }
    }
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
            logins: HashQueue::new(LOGINS_MAX),
            guesses: HashQueue::new(GUESSES_MAX),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            known: Mutex::default(),
            guessers: Mutex::default(),
        })
    }

    /// Checks a password. Dropping this while it waits frees its place; what is being hashed is
    /// hashed to its end, in its place.
    pub(super) async fn check(&self, attempt: ShownPassword<'_>, client: ClientNetwork) -> Checked {
        let seal = self.seal(&attempt);
        if lock(&self.known).contains(&seal, clock::now()) {
            return Checked::Right;
        }
        let mut is_guess = self.guesses(client);
        let turn = loop {
            let queue = if is_guess { &self.guesses } else { &self.logins };
            let Some(place) = queue.places.try_take(client) else { return Checked::Busy };
            let turn = queue.hashing.take(client).await;
            // Requests of one page come together: the first of them may have been right meanwhile.
            if lock(&self.known).contains(&seal, clock::now()) {
                return Checked::Right;
            }
            // And those of a guesser: the first of them was wrong meanwhile.
            if is_guess || !self.guesses(client) {
                break (turn, place);
            }
            is_guess = true;
        };
        let (hash, password) = (attempt.hash.clone(), attempt.password.to_owned());
        let (done, hashed) = oneshot::channel();
        let hash = move || {
            match is_guess {
                true => background::take_idle_time(),
                false => background::give_way(),
            }
            let is_right = matches(&hash, password.as_bytes());
            drop(turn);
            let _ = done.send(is_right);
        };
        let thread = thread::Builder::new().name(HASHING_THREAD.to_owned());
        if thread.spawn(hash).is_err() {
            return Checked::Busy;
        }
        if hashed.await == Ok(true) {
            lock(&self.known).insert(seal, clock::now(), REMEMBERED);
            return Checked::Right;
        }
        // Many clients stand behind one that has no share.
        if client != ClientNetwork::Unshared {
            lock(&self.guessers).insert(client, clock::now(), GUESSING);
        }
        Checked::Wrong
    }

    /// Whether the client's last password was wrong, a while ago at most.
    fn guesses(&self, client: ClientNetwork) -> bool {
        lock(&self.guessers).contains(&client, clock::now())
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
}

/// What a panic left behind is whole: every change is of one entry.
fn lock<K>(remembered: &Mutex<Remembered<K>>) -> MutexGuard<'_, Remembered<K>> {
    remembered.lock().unwrap_or_else(PoisonError::into_inner)
}

type Seal = [u8; 32];

/// Keys and until when each holds, in two generations: the older one goes as a whole when the
/// younger is full.
struct Remembered<K> {
    young: HashMap<K, Moment>,
    old: HashMap<K, Moment>,
}

impl<K> Default for Remembered<K> {
    fn default() -> Remembered<K> {
        Remembered { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash> Remembered<K> {
    fn contains(&self, key: &K, now: Moment) -> bool {
        let until = self.young.get(key).or_else(|| self.old.get(key));
        until.is_some_and(|until| now < *until)
    }

    fn insert(&mut self, key: K, now: Moment, time: Duration) {
        if self.young.len() >= REMEMBERED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, now.after(time));
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
    use crate::base::join::join_all;

    /// Niceness and policy of this process's threads that hash (proc_pid_stat(5), fields 19 and
    /// 41).
    fn hashing() -> Vec<(i32, i32)> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let stats =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        let named = stats.filter(|stat| stat.contains(&format!("({HASHING_THREAD})")));
        let both = |stat: String| {
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split(' ').collect();
            Some((fields.get(17)?.parse().ok()?, fields.get(39)?.parse().ok()?))
        };
        named.filter_map(both).collect()
    }

    #[tokio::test]
    async fn who_logs_in_gives_way_to_the_workers_and_who_guesses_takes_what_is_left() {
        let checker = PasswordChecker::new();
        // Slow enough to be looked at.
        let hash = PasswordHash::Bcrypt(bcrypt::hash("secret", 10).unwrap().into());
        let shown = |password| ShownPassword { user: "ada", password, hash: &hash };
        let client = |last: u8| ClientNetwork::from(std::net::IpAddr::from([192, 0, 2, last]));
        for (password, client, expected, policy) in [
            ("wrong", client(1), Checked::Wrong, libc::SCHED_OTHER),
            ("other", client(1), Checked::Wrong, libc::SCHED_IDLE),
            ("wrong", client(2), Checked::Wrong, libc::SCHED_OTHER),
            ("wrong", ClientNetwork::Unshared, Checked::Wrong, libc::SCHED_OTHER),
            ("wrong", ClientNetwork::Unshared, Checked::Wrong, libc::SCHED_OTHER),
            ("secret", client(1), Checked::Right, libc::SCHED_IDLE),
        ] {
            let mut check = std::pin::pin!(checker.check(shown(password), client));
            let mut seen = Vec::new();
            let checked = loop {
                match tokio::time::timeout(Duration::from_millis(1), &mut check).await {
                    Ok(checked) => break checked,
                    Err(_) => seen.extend(hashing()),
                }
            };
            assert_eq!(checked, expected, "{password}");
            assert!(
                seen.iter().any(|(nice, of)| *nice > 0 && *of == policy),
                "{client:?} {seen:?}"
            );
        }
        assert_eq!(checker.check(shown("secret"), client(3)).await, Checked::Right);
    }

    #[tokio::test]
    async fn no_login_waits_behind_guesses_however_many_guess() {
        let checker = PasswordChecker::new();
        let hash = |cost| PasswordHash::Bcrypt(bcrypt::hash("secret", cost).unwrap().into());
        let (slow, quick) = (hash(12), hash(4));
        let client = |last: u8| ClientNetwork::from(std::net::IpAddr::from([192, 0, 2, last]));
        let check = |password, hash, last| {
            let shown = ShownPassword { user: "ada", password, hash };
            checker.check(shown, client(last))
        };
        for guesser in 1..=4 {
            assert_eq!(check("wrong", &quick, guesser).await, Checked::Wrong);
        }
        let guesses = (1..=4).map(|guesser| check("other", &slow, guesser));
        tokio::select! {
            biased;
            _ = join_all(guesses) => panic!("the login has waited"),
            checked = async {
                // Each guess has its turn, or waits for it.
                tokio::task::yield_now().await;
                check("secret", &quick, 5).await
            } => assert_eq!(checked, Checked::Right),
        }
    }
}
