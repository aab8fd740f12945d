//! The head of a request or an answer, as it was on the wire.

use tokio::io::AsyncBufReadExt;

use super::Wire;

/// A head: its first line, then its fields in their order and their letters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// `GET /chat HTTP/1.1`, or `HTTP/1.1 101 Switching Protocols`.
    pub first: String,
    /// Names as they were written, values without the blanks around them.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head; `None` when the stream ends before it does.
    pub async fn read(wire: &mut Wire) -> Option<Head> {
        let first = line(wire).await?;
        let mut fields = Vec::new();
        loop {
            let line = line(wire).await?;
            if line.is_empty() {
                return Some(Head { first, fields });
            }
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The value of the first field of this name, in any letters; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// The values of all fields of this name, in their order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        let same = move |field: &&(String, String)| field.0.eq_ignore_ascii_case(&name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// The second word of the first line: a request's target, an answer's status.
    pub fn second(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    /// An answer's status.
    pub fn status(&self) -> u16 {
        self.second().parse().unwrap_or_else(|_| panic!("not an answer: {}", self.first))
    }

    /// Whether it asks for a WebSocket, or grants one.
    pub fn is_upgrade(&self) -> bool {
        self.get("upgrade").eq_ignore_ascii_case("websocket")
    }
}

async fn line(wire: &mut Wire) -> Option<String> {
    let mut line = Vec::new();
    wire.read_until(b'\n', &mut line).await.ok()?;
    let line = line.strip_suffix(b"\r\n")?;
    Some(String::from_utf8_lossy(line).into_owned())
}
