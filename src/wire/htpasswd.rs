//! Files of users and hashes of their passwords, as `htpasswd` writes them: a line for each user,
//! `name:hash`; empty lines and those that begin with `#` are skipped.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::byte_order_mark::without_mark;

/// The highest cost of a bcrypt hash, as a power of two of its rounds: seconds of one core.
pub const BCRYPT_COST_MAX: u32 = 15;

/// The most memory that an argon2 hash may take to be checked, in KiB.
pub const ARGON2_MEMORY_MAX: u32 = 256 * 1024;

/// The most passes over its memory.
const ARGON2_PASSES_MAX: u32 = 16;

/// The most lanes of its memory.
const ARGON2_LANES_MAX: u32 = 16;

/// A password's hash.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// As bcrypt writes it: `$2b$`, `$2y$` or `$2a$`.
    Bcrypt(Box<str>),
    /// Argon2id, version 1.3 (RFC 9106).
    Argon2id(Argon2idHash),
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// An Argon2id hash in its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Argon2idHash {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes of it.
    pub lanes: u32,
    /// The salt.
    pub salt: Box<[u8]>,
    /// The hash itself.
    pub hash: Box<[u8]>,
}

/// Users by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Users(BTreeMap<Box<str>, PasswordHash>);

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadLine {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, as the end of a sentence that begins with the line.
    pub what: String,
    /// Whether another hash of the same password is all that it takes.
    pub wants_other_hash: bool,
}

impl Users {
    /// Reads a file.
    ///
    /// # Errors
    /// Every line that cannot be read.
    pub fn read(bytes: &[u8]) -> Result<Users, Vec<BadLine>> {
        let (mut users, mut bad) = (BTreeMap::new(), Vec::new());
        for (at, line) in without_mark(bytes).split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            match user(line) {
                Ok((name, _)) if users.contains_key(&name) => {
                    let what = format!("names a user for the second time: `{name}`");
                    bad.push(BadLine { line: at + 1, what, wants_other_hash: false });
                }
                Ok((name, hash)) => drop(users.insert(name, hash)),
                Err((what, wants_other_hash)) => {
                    bad.push(BadLine { line: at + 1, what, wants_other_hash });
                }
            }
        }
        if bad.is_empty() { Ok(Users(users)) } else { Err(bad) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hash of a user's password.
    pub fn get(&self, name: &str) -> Option<&PasswordHash> {
        self.0.get(name)
    }

    /// Any user's hash, for a name that no user has: it costs as much to check.
    pub fn any(&self) -> Option<&PasswordHash> {
        self.0.values().next()
    }
}

/// A line that names a user; the error also tells whether another hash would do.
fn user(line: &[u8]) -> Result<(Box<str>, PasswordHash), (String, bool)> {
    let text = str::from_utf8(line).map_err(|_| ("is not UTF-8".to_owned(), false))?;
    let Some((name, hash)) = text.split_once(':') else {
        return Err(("has no `:` between a name and a hash".to_owned(), false));
    };
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(("has no name that a user can have".to_owned(), false));
    }
    match PasswordHash::read(hash) {
        Ok(hash) => Ok((name.into(), hash)),
        Err(what) => Err((format!("has {what}, of the user `{name}`"), true)),
    }
}

impl PasswordHash {
    /// Reads a hash; the error says what stands there instead, and never the hash itself.
    fn read(text: &str) -> Result<PasswordHash, String> {
        let kind = text.strip_prefix('$').and_then(|rest| rest.split_once('$'));
        match kind {
            Some(("2a" | "2b" | "2y", _)) => bcrypt(text),
            Some(("argon2id", parts)) => argon2id(parts).map(PasswordHash::Argon2id),
            Some(("argon2i" | "argon2d", _)) => Err("an argon2 hash that is not argon2id".into()),
            Some(("2x", _)) => Err("a bcrypt hash of a faulty kind, `$2x$`".into()),
            Some(("apr1" | "1", _)) => Err("an MD5 hash, which is too weak".into()),
            Some(("5" | "6", _)) => Err("a SHA-2 crypt hash, which is not supported".into()),
            Some(("y" | "7" | "scrypt", _)) => Err("a hash of a kind that is not supported".into()),
            _ if text.starts_with("{SHA}") || text.starts_with("{SSHA}") => {
                Err("a SHA-1 hash, which is too weak".into())
            }
            _ if text.is_empty() => Err("no hash".into()),
            _ => Err("a crypt hash or a password in clear text".into()),
        }
    }
}

/// `$2b$12$`, 22 letters of salt and 31 of the hash.
fn bcrypt(text: &str) -> Result<PasswordHash, String> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"./".contains(byte);
    let broken = || "a bcrypt hash that is cut or changed".to_owned();
    let (cost, rest) = text.get(4..).and_then(|rest| rest.split_once('$')).ok_or_else(broken)?;
    let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || rest.len() != 53 || !rest.as_bytes().iter().all(is_letter) {
        return Err(broken());
    }
    match cost.parse() {
        Ok(4..=BCRYPT_COST_MAX) => Ok(PasswordHash::Bcrypt(text.into())),
        _ => Err(format!("a bcrypt hash whose cost is not 4 to {BCRYPT_COST_MAX}")),
    }
}

/// What follows `$argon2id$`: `v=19$m=65536,t=3,p=4$salt$hash`.
fn argon2id(parts: &str) -> Result<Argon2idHash, String> {
    let broken = || "an argon2id hash that is cut or changed".to_owned();
    let parts: Vec<&str> = parts.split('$').collect();
    let [version, parameters, salt, hash] = parts[..] else { return Err(broken()) };
    if version != "v=19" {
        return Err("an argon2id hash of a version before 1.3".to_owned());
    }
    let parameter = |name: &str| {
        let mut all = parameters.split(',').filter_map(|one| one.split_once('='));
        all.find(|(found, _)| *found == name).and_then(|(_, value)| value.parse::<u32>().ok())
    };
    let numbers = (parameter("m"), parameter("t"), parameter("p"));
    let (Some(memory), Some(passes), Some(lanes)) = numbers else { return Err(broken()) };
    let decode = |text| STANDARD_NO_PAD.decode(text).map(Vec::into_boxed_slice);
    let (salt, hash) = (decode(salt).map_err(|_| broken())?, decode(hash).map_err(|_| broken())?);
    // RFC 9106 §3.1: at least eight blocks for each lane; shorter salts and hashes are no use.
    let is_whole = (8..=64).contains(&salt.len()) && (16..=64).contains(&hash.len());
    if !is_whole || passes == 0 || lanes == 0 || memory < lanes.saturating_mul(8) {
        return Err(broken());
    }
    if memory > ARGON2_MEMORY_MAX || passes > ARGON2_PASSES_MAX || lanes > ARGON2_LANES_MAX {
        return Err(format!(
            "an argon2id hash that costs more than m={ARGON2_MEMORY_MAX}, t={ARGON2_PASSES_MAX}, \
             p={ARGON2_LANES_MAX}"
        ));
    }
    Ok(Argon2idHash { memory, passes, lanes, salt, hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuPZ1d2jzHZ8zZ5uVX6Hq1c6xZ8r7rTqa";
    const ARGON2ID: &str = "$argon2id$v=19$m=1024,t=2,p=1$c2FsdHNhbHQ$\
                            AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn bad(text: &str) -> Vec<(usize, String)> {
        let bad = Users::read(text.as_bytes()).unwrap_err();
        bad.into_iter().map(|bad| (bad.line, bad.what)).collect()
    }

    #[test]
    fn users_are_read_with_their_hashes_and_comments_are_skipped() {
        let text = format!("# staff\n\nada:{BCRYPT}\r\n  bob:{ARGON2ID}\n");
        let users = Users::read(text.as_bytes()).unwrap();
        assert_eq!(users.get("ada"), Some(&PasswordHash::Bcrypt(BCRYPT.into())));
        let Some(PasswordHash::Argon2id(hash)) = users.get("bob") else { panic!() };
        assert_eq!((hash.memory, hash.passes, hash.lanes), (1024, 2, 1));
        assert_eq!((&*hash.salt, hash.hash.len()), (&b"saltsalt"[..], 32));
        assert!(users.get("eve").is_none() && users.any().is_some());
        assert!(Users::read(b"").unwrap().is_empty());
        let marked = format!("\u{feff}ada:{BCRYPT}\r\n");
        assert!(Users::read(marked.as_bytes()).unwrap().get("ada").is_some());
    }

    #[test]
    fn every_line_that_cannot_be_read_is_named_by_its_number() {
        let text = format!("ada:{BCRYPT}\nbob\n:x\nada:{BCRYPT}\neve:$apr1$x$y\n");
        let lines: Vec<usize> = bad(&text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert_eq!(bad("\u{0}a:x")[0].0, 1);
        assert_eq!(Users::read(b"a\n\xff:x").unwrap_err()[0].line, 1);
    }

    #[test]
    fn hashes_that_are_weak_dear_or_cut_are_refused_and_not_shown() {
        let dear = ARGON2ID.replace("m=1024", "m=999999");
        let cheap = ARGON2ID.replace("m=1024", "m=1");
        for (hash, said) in [
            ("$apr1$abc$def", "MD5"),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"),
            ("$6$salt$hash", "SHA-2"),
            ("secret", "clear text"),
            ("", "no hash"),
            (&BCRYPT[..59], "cut"),
            (&BCRYPT.replace("$05$", "$31$"), "cost"),
            (&BCRYPT.replace("$05$", "$+5$"), "cut"),
            ("$2y$", "cut"),
            ("$2y$05$\u{e9}", "cut"),
            (&dear, "costs more"),
            (&cheap, "cut"),
            (&ARGON2ID.replace("v=19", "v=16"), "before 1.3"),
            (&ARGON2ID.replace("argon2id", "argon2i"), "not argon2id"),
            (&ARGON2ID[..30], "cut"),
        ] {
            let (_, what) = bad(&format!("ada:{hash}")).remove(0);
            assert!(what.contains(said), "{hash}: {what}");
            assert!(hash.is_empty() || !what.contains(hash), "{what}");
        }
    }
}
