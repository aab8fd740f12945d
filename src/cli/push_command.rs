//! `tidegate push`: a message to sessions, which is typed, or in a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::args::operator::ToProxy;
use super::exit::Failure;
use super::operator;
use crate::admin::{PUSH_BODY_BYTES_MAX, PushCommand};

/// Sends it through the operator's socket.
pub(super) fn push(asked: ToProxy<PushCommand>) -> Result<(), Failure> {
    let ToProxy { request, target } = asked;
    let bytes = match &request.file {
        Some(file) => read(file)?,
        None => request.typed().unwrap_or_default().as_bytes().to_vec(),
    };
    let (text, base64) = match request.binary {
        true => (None, Some(STANDARD.encode(&bytes))),
        false => (Some(text(bytes)?), None),
    };
    operator::ask(&ToProxy { request: request.with_message(text, base64), target })
}

/// No more than what is refused anyway.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let max = PUSH_BODY_BYTES_MAX as u64 + 1;
    let read = match file == Path::new("-") {
        true => io::stdin().take(max).read_to_end(&mut bytes),
        false => File::open(file).and_then(|file| file.take(max).read_to_end(&mut bytes)),
    };
    let said = |error: io::Error| format!("the message, `{}`: {error}", file.display());
    read.map_err(|error| Failure::Usage(said(error)))?;
    if bytes.len() > PUSH_BODY_BYTES_MAX {
        return Err(Failure::Usage(format!("a message of more than {PUSH_BODY_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Usage(format!(
            "a text message is UTF-8, and this is none at byte {at}\nhint: `--binary` sends it as \
             a binary message"
        ))
    })
}
