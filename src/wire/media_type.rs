//! What a file is, by its name's ending, and what a message says that it is (RFC 9110 §8.3.1).

use std::path::Path;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The media type of a file of this name; text is UTF-8.
pub fn media_type(name: &str) -> String {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let guessed = match ending.to_ascii_lowercase().as_str() {
        // RFC 9239; a browser runs no module of another type.
        "js" | "mjs" | "cjs" => "text/javascript",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        ending => {
            let guess = mime_guess::from_ext(ending);
            return with_charset(guess.first_or_octet_stream().as_ref());
        }
    };
    with_charset(guessed)
}

/// Whether a message's `Content-Type` is this one, in any case and with any parameters.
pub fn is_of_type(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|said| said.to_str().ok()).unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind)
}

fn with_charset(kind: &str) -> String {
    match kind.starts_with("text/") && !kind.contains("charset") {
        true => format!("{kind}; charset=utf-8"),
        false => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_known_by_the_ending() {
        let rows = [
            ("a.html", "text/html; charset=utf-8"),
            ("a.CSS", "text/css; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.woff2", "font/woff2"),
            ("a.png", "image/png"),
            ("a", "application/octet-stream"),
            ("a.zzz", "application/octet-stream"),
        ];
        for (name, kind) in rows {
            assert_eq!(media_type(name), kind, "{name}");
        }
    }
}
