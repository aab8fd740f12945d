//! A backend that trusts nobody: it reads by the strictest rules of RFC 9112 and keeps what it saw,
//! what breaks a rule included.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::actors::{Head, granted};

/// The target that shows that a connection is still good; it is not kept.
pub const PROBE: &str = "/probe";

/// The target that shows that all is well after an attack.
pub const WELL: &str = "/well";

#[derive(Default)]
struct Log {
    seen: Vec<String>,
    heads: Vec<Head>,
}

/// A backend on a port of its own.
pub struct Witness {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    serving: JoinHandle<()>,
}

impl Witness {
    pub async fn start() -> Witness {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let serving = tokio::spawn(serve(listener, Arc::clone(&log)));
        Witness { address, log, serving }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw: `GET /a`, `POST /a hello`, with trailers `POST /a hello +x-sum: 7`,
    /// `GET /a upgrade`, or what was wrong with it.
    pub fn seen(&self) -> Vec<String> {
        self.log.lock().unwrap().seen.clone()
    }

    /// The heads it saw, those of probes aside.
    pub fn heads(&self) -> Vec<Head> {
        self.log.lock().unwrap().heads.clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, log: Arc<Mutex<Log>>) {
    // The set is dropped with this task, and takes every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let log = Arc::clone(&log);
        connections.spawn(async move {
            let mut wire = BufReader::new(tcp);
            while let Some(read) = read(&mut wire).await {
                let (head, body) = match read {
                    Ok(read) => read,
                    // What is broken off was never asked (RFC 9112 §8).
                    Err(Wrong::BrokenOff) => return,
                    Err(Wrong::Rule(why)) => {
                        return log.lock().unwrap().seen.push(format!("wrong: {why}"));
                    }
                };
                if answer(&mut wire, head, body, &log).await.is_none() {
                    return;
                }
            }
        });
    }
}

/// Keeps a request and answers it; `None` when no other can follow.
async fn answer(
    wire: &mut BufReader<TcpStream>,
    head: Head,
    body: String,
    log: &Mutex<Log>,
) -> Option<()> {
    let target = head.second().to_owned();
    if target != PROBE {
        let method = head.first.split(' ').next().unwrap_or_default();
        let how = if head.is_upgrade() { " upgrade" } else { "" };
        let body = if body.is_empty() { body } else { format!(" {body}") };
        let mut log = log.lock().unwrap();
        log.seen.push(format!("{method} {target}{how}{body}"));
        log.heads.push(head.clone());
    }
    if head.is_upgrade() {
        wire.write_all(granted(&head).as_bytes()).await.ok()?;
        let mut rest = Vec::new();
        // How it ends is not asked.
        let _ = wire.read_to_end(&mut rest).await;
        return None;
    }
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Target: {target}\r\n\r\n");
    wire.write_all(answer.as_bytes()).await.ok()
}

/// Why there is no request.
enum Wrong {
    BrokenOff,
    Rule(String),
}

fn wrong<T>(why: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Rule(why.into()))
}

/// The next request; `None` at an orderly end.
async fn read(wire: &mut BufReader<TcpStream>) -> Option<Result<(Head, String), Wrong>> {
    let first = match line(wire).await {
        Ok(first) => first?,
        Err(why) => return Some(Err(why)),
    };
    Some(read_from(first, wire).await)
}

async fn read_from(
    first: String,
    wire: &mut BufReader<TcpStream>,
) -> Result<(Head, String), Wrong> {
    if !first.ends_with(" HTTP/1.1") || first.split(' ').count() != 3 {
        return wrong(format!("the line {first:?}"));
    }
    let fields = fields(wire).await?;
    let head = Head { first, fields };
    if head.all("host").count() != 1 {
        return wrong("not one Host");
    }
    let body = body(&head, wire).await?;
    Ok((head, body))
}

/// Fields up to the empty line.
async fn fields(wire: &mut BufReader<TcpStream>) -> Result<Vec<(String, String)>, Wrong> {
    let mut fields = Vec::new();
    loop {
        let line = line(wire).await?.ok_or(Wrong::BrokenOff)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) =
            line.split_once(':').ok_or(Wrong::Rule(format!("the field {line:?}")))?;
        let may = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(may) {
            return wrong(format!("the name {name:?}"));
        }
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

async fn body(head: &Head, wire: &mut BufReader<TcpStream>) -> Result<String, Wrong> {
    let lengths: Vec<&str> = head.all("content-length").collect();
    let codings: Vec<&str> = head.all("transfer-encoding").collect();
    let bytes = match (&lengths[..], &codings[..]) {
        ([], []) => Vec::new(),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().map_err(|_| Wrong::Rule(format!("the length {length}")))?;
            exactly(wire, length).await?
        }
        ([], ["chunked"]) => chunks(wire).await?,
        _ => return wrong(format!("lengths {lengths:?} and codings {codings:?}")),
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn chunks(wire: &mut BufReader<TcpStream>) -> Result<Vec<u8>, Wrong> {
    let mut all = Vec::new();
    loop {
        let size = line(wire).await?.ok_or(Wrong::BrokenOff)?;
        let length = usize::from_str_radix(&size, 16)
            .map_err(|_| Wrong::Rule(format!("the chunk {size:?}")))?;
        if length == 0 {
            for (name, value) in fields(wire).await? {
                all.extend(format!(" +{name}: {value}").into_bytes());
            }
            return Ok(all);
        }
        all.extend(exactly(wire, length).await?);
        if line(wire).await?.as_deref() != Some("") {
            return wrong("a chunk without an end");
        }
    }
}

async fn exactly(wire: &mut BufReader<TcpStream>, length: usize) -> Result<Vec<u8>, Wrong> {
    let mut bytes = vec![0; length];
    wire.read_exact(&mut bytes).await.map_err(|_| Wrong::BrokenOff)?;
    Ok(bytes)
}

/// A line; `None` at the end. Neither CR, LF nor NUL may stand in it but at its end.
async fn line(wire: &mut BufReader<TcpStream>) -> Result<Option<String>, Wrong> {
    let mut line = Vec::new();
    // A reset is an end as well.
    if wire.read_until(b'\n', &mut line).await.unwrap_or_default() == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&line).into_owned();
    match text.strip_suffix("\r\n") {
        Some(line) if !line.contains(['\r', '\n', '\0']) => Ok(Some(line.to_owned())),
        _ if !text.ends_with('\n') => Err(Wrong::BrokenOff),
        _ => wrong(format!("the line {text:?}")),
    }
}
