//! Counts a session's messages, and goes on counting after a restart: what it said is in a file
//! under its token, in a directory that all backends share.
//!   cargo run --example resume PORT DIRECTORY

use std::error::Error;
use std::fs::{File, OpenOptions, exists, read_to_string};
use std::io::Write;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tungstenite::Message;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};

fn kept(directory: &str, fields: &HeaderMap) -> Option<String> {
    let field = fields.get("tidegate-session").or(fields.get("tidegate-resume"))?.to_str().ok()?;
    let token = field.get(..32).filter(|token| token.bytes().all(|one| one.is_ascii_hexdigit()));
    Some(format!("{directory}/{}", token?))
}

async fn session(client: TcpStream, directory: String) -> Result<(), Box<dyn Error>> {
    let mut file = None;
    #[allow(clippy::result_large_err)]
    let confirm = |request: &Request, mut answer: Response| -> Result<Response, ErrorResponse> {
        file = kept(&directory, request.headers());
        match (&file, request.headers().get("tidegate-resume")) {
            (Some(file), None) => drop(File::create(file)),
            (Some(file), Some(resumed)) if matches!(exists(file), Ok(true)) => {
                answer.headers_mut().insert("tidegate-resume", resumed.clone());
            }
            _ => {}
        }
        Ok(answer)
    };
    let mut socket = accept_hdr_async(client, confirm).await?;
    let file = file.ok_or("through tidegate only")?;
    let mut count = None; // Of all its lives, from when it speaks: until then another may have it.
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let before = count
            .map_or_else(|| Ok(read_to_string(&file)?.lines().count()), Ok::<_, std::io::Error>)?;
        OpenOptions::new().append(true).open(&file)?.write_all(format!("{text}\n").as_bytes())?;
        count = Some(before + 1);
        socket.send(format!("{}: {text}", before + 1).into()).await?;
    }
    Ok(())
}

/// Takes connections for ever.
pub async fn serve(listening: TcpListener, directory: String) -> Result<(), Box<dyn Error>> {
    loop {
        let (client, _) = listening.accept().await?;
        let directory = directory.clone();
        #[allow(clippy::disallowed_methods)]
        tokio::spawn(async move {
            if let Err(why) = session(client, directory).await {
                eprintln!("{why}");
            }
        });
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(port), Some(directory)) = (words.next(), words.next()) else {
        return Err("a port and a directory are needed".into());
    };
    serve(TcpListener::bind(("127.0.0.1", port.parse()?)).await?, directory).await
}
