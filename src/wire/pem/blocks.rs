//! The blocks of a PEM file (RFC 7468), found wherever they begin: indented, behind a byte order
//! mark, several in one line, with any line ends.

use std::fmt;

use rustls::pki_types::pem::PemObject;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// What stands between `-----BEGIN …-----` and `-----END …-----`.
pub(super) struct Block<'a> {
    /// What it says it is: `CERTIFICATE`, `PRIVATE KEY`, …
    pub label: String,
    /// The line it begins in, from 1.
    pub line: usize,
    /// The byte it begins at.
    pub at: usize,
    body: &'a [u8],
}

/// A block that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokenBlock {
    /// The line to look at, from 1.
    pub line: usize,
    /// What is wrong there, as the end of a sentence.
    pub what: String,
}

impl BrokenBlock {
    fn new(line: usize, what: impl Into<String>) -> BrokenBlock {
        BrokenBlock { line, what: what.into() }
    }
}

impl fmt::Display for BrokenBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {})", self.what, self.line)
    }
}

/// All blocks of a file, in order; what stands between them is not looked at.
pub(super) fn blocks(pem: &[u8]) -> Result<Vec<Block<'_>>, BrokenBlock> {
    let mut found = Vec::new();
    let (mut at, mut lines) = (0, Lines::of(pem));
    while let Some(begin) = find(pem, BEGIN, at) {
        let line = lines.at(begin);
        let label_at = begin + BEGIN.len();
        let label = upto(pem, DASHES, label_at).filter(|label| !label.contains(&b'\n'));
        let label = label.ok_or_else(|| {
            BrokenBlock::new(line, "a block begins without `-----` at the end of its first line")
        })?;
        let shown = String::from_utf8_lossy(label.trim_ascii()).into_owned();
        let body_at = label_at + label.len() + DASHES.len();
        let open = || BrokenBlock::new(line, format!("a block does not end: `{shown}`"));
        let body = upto(pem, DASHES, body_at).ok_or_else(open)?;
        let end = body_at + body.len();
        let closing = pem[end..].strip_prefix(END).ok_or_else(open)?;
        let label_of_end = upto(closing, DASHES, 0).ok_or_else(open)?;
        if label_of_end.trim_ascii() != label.trim_ascii() {
            let other = String::from_utf8_lossy(label_of_end.trim_ascii()).into_owned();
            let what = format!("a block begins as `{shown}` and ends as `{other}`");
            return Err(BrokenBlock::new(line, what));
        }
        at = end + END.len() + label_of_end.len() + DASHES.len();
        found.push(Block { label: shown, line, at: begin, body });
    }
    Ok(found)
}

/// What blocks say they are, each once.
pub(super) fn labels(blocks: &[Block<'_>]) -> Vec<String> {
    let mut labels: Vec<String> = blocks.iter().map(|block| block.label.clone()).collect();
    labels.sort();
    labels.dedup();
    labels
}

impl Block<'_> {
    /// Whether it is a private key, of whatever kind.
    pub(super) fn is_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    /// Whether it is a certificate.
    pub(super) fn is_certificate(&self) -> bool {
        matches!(&*self.label, "CERTIFICATE" | "X509 CERTIFICATE")
    }

    /// Whether it is under a passphrase: PKCS#8's own block, or the header fields that older tools
    /// put into a block (RFC 1421 §4.6).
    pub(super) fn is_encrypted(&self) -> bool {
        let has = |text| find(self.body, text, 0).is_some();
        self.label == "ENCRYPTED PRIVATE KEY" || (has(b"Proc-Type:") && has(b"ENCRYPTED"))
    }

    /// Its bytes, as an object of this kind.
    pub(super) fn decode<T: PemObject>(&self, kind: &str) -> Result<T, BrokenBlock> {
        let mut text = format!("-----BEGIN {kind}-----\n").into_bytes();
        let lines = self.body.split(|byte| *byte == b'\n').enumerate();
        // Header fields are of no use to us.
        for (number, line) in lines.filter(|(_, line)| !line.contains(&b':')) {
            let odd = line.iter().find(|byte| !is_base64(**byte) && !byte.is_ascii_whitespace());
            if let Some(odd) = odd {
                let what = match odd {
                    b'\\' => "a block has `\\` in its text, perhaps `\\n` for a line's end",
                    _ => "a block is not base64",
                };
                return Err(BrokenBlock::new(self.line + number, what));
            }
            text.extend(line.iter().filter(|byte| is_base64(**byte)));
        }
        text.extend(format!("\n-----END {kind}-----\n").bytes());
        // Decoded by rustls' own reader, whose time does not depend on a key's bytes.
        T::from_pem_slice(&text).map_err(|_| BrokenBlock::new(self.line, "a block is not base64"))
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Where `text` is next, from `at` on.
fn find(pem: &[u8], text: &[u8], at: usize) -> Option<usize> {
    pem.get(at..)?.windows(text.len()).position(|window| window == text).map(|found| at + found)
}

/// What stands from `at` until `end`.
fn upto<'a>(pem: &'a [u8], end: &[u8], at: usize) -> Option<&'a [u8]> {
    find(pem, end, at).map(|end| &pem[at..end])
}

/// Counts lines, forwards only.
struct Lines<'a> {
    pem: &'a [u8],
    counted: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn of(pem: &'a [u8]) -> Lines<'a> {
        Lines { pem, counted: 0, line: 1 }
    }

    /// The line of a byte that is not before the one asked for last.
    fn at(&mut self, at: usize) -> usize {
        self.line += self.pem[self.counted..at].iter().filter(|byte| **byte == b'\n').count();
        self.counted = at;
        self.line
    }
}
