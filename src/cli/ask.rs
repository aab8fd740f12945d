//! One HTTP request to a running proxy, over any stream.

use std::io::{self, Read, Write};

/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// What is asked.
pub(super) struct Question<'a> {
    /// The method.
    pub(super) method: &'a str,
    /// The path, with its query.
    pub(super) target: &'a str,
    /// The `Host` field.
    pub(super) host: &'a str,
    /// The content type of the answer that is liked best.
    pub(super) accept: &'a str,
    /// The content.
    pub(super) body: &'a str,
}

/// Asks and waits for the whole answer: its status and its body (RFC 9112 §6.3). The stream brings
/// its own timeouts.
///
/// # Errors
/// The stream's; `InvalidData` when what comes is no answer.
pub(super) fn ask(
    mut stream: impl Read + Write,
    question: &Question<'_>,
) -> io::Result<(u16, String)> {
    let Question { method, target, host, accept, body } = question;
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nContent-Length: \
         {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    match status {
        Some(status) if head.starts_with("HTTP/1.") => Ok((status, body.trim_end().to_owned())),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "what came is not an HTTP answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says `answer` to whoever writes.
    struct Scripted<'a>(&'a [u8]);

    impl Read for Scripted<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }

    impl Write for Scripted<'_> {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(buf);
            assert!(text.contains(" HTTP/1.1\r\nHost: x\r\n"), "{text}");
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn status_and_body_come_apart() {
        let answer = b"HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nno!\n";
        let question =
            |method, target| Question { method, target, host: "x", accept: "*/*", body: "{}" };
        let told = ask(Scripted(answer), &question("POST", "/reload")).unwrap();
        assert_eq!(told, (409, "no!".to_owned()));
        for nonsense in [&b""[..], b"SSH-2.0 200 x\r\n\r\n"] {
            assert!(ask(Scripted(nonsense), &question("GET", "/")).is_err());
        }
    }
}
