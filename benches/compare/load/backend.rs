//! The backend: it echoes, swallows or pours, as the scenario wants.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::codec::{self, Frames};
use crate::scenario::{Kind, Scenario};

use super::Progress;
use super::wire::{read_frames, read_head};

/// Connections that may wait to be accepted: a thousand clients come at once.
const BACKLOG: u32 = 4_096;

/// The backend's address, once it listens; it serves for as long as the local set lives.
pub async fn start(scenario: Scenario, progress: Arc<Progress>) -> io::Result<SocketAddr> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener: TcpListener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    let frame: Rc<[u8]> = codec::frame(scenario.size, false).into();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (frame, progress) = (Rc::clone(&frame), Arc::clone(&progress));
            tokio::task::spawn_local(async move {
                drop(serve(stream, scenario, &frame, &progress).await);
            });
        }
    });
    Ok(address)
}

async fn serve(
    mut stream: TcpStream,
    scenario: Scenario,
    frame: &[u8],
    progress: &Progress,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (head, early) = read_head(&mut stream).await?;
    stream.write_all(&codec::answer(&head)).await?;
    if scenario.kind == Kind::Down {
        // Pings go unanswered for as long as a round takes.
        while !progress.stopped() {
            stream.write_all(frame).await?;
        }
        return Ok(());
    }
    let echoes = !matches!(scenario.kind, Kind::Up | Kind::Connect);
    let mut frames = Frames::default();
    let mut out = Vec::new();
    let closed = Cell::new(false);
    let answer = |out: &mut Vec<u8>, opcode: u8, control: &[u8]| match opcode {
        1 | 2 if echoes => out.extend_from_slice(frame),
        8 => {
            out.extend([0x88, 0]);
            closed.set(true);
        }
        9 => {
            progress.pings.fetch_add(1, Ordering::Relaxed);
            out.extend(codec::pong(control, false));
        }
        _ => {}
    };
    frames.take(&early, |opcode, control| answer(&mut out, opcode, control));
    loop {
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
            // A quiet session keeps nothing.
            out.shrink_to(1_024);
        }
        if closed.get() {
            // The server closes the connection first (RFC 6455 §7.1.1).
            return Ok(());
        }
        let read = read_frames(&mut stream, &mut frames, |opcode, control| {
            answer(&mut out, opcode, control);
        });
        let read = read.await?;
        progress.bytes.fetch_add(read as u64, Ordering::Relaxed);
        if read == 0 {
            return Ok(());
        }
    }
}
