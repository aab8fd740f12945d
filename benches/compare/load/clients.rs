//! The clients of the closed loops, streams, connects, and those that are quiet.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::codec::{self, Frames};
use crate::scenario::{Kind, Over, Scenario};

use super::Progress;
use super::paced;
use super::target::{Connector, Opened, Target};
use super::wire::read_frames;

/// Sessions that are opened at the same time; more would measure a connect storm.
const OPENING_MAX: usize = 64;

/// Runs clients against `target` until [`Progress::stop`]; opens as many as wanted.
pub async fn run(target: Target, scenario: Scenario, progress: Arc<Progress>) {
    let connector = Connector::new(target.clone());
    let opening = Arc::new(Semaphore::new(OPENING_MAX));
    let frame: Rc<[u8]> = codec::frame(scenario.size, true).into();
    if scenario.kind == Kind::Paced {
        let ended = paced::run(&connector, scenario, &frame, &progress).await;
        progress.lose(ended);
    }
    let mut started = 0;
    while !progress.stopped() {
        if started >= progress.wanted.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let permit = Arc::clone(&opening).acquire_owned().await.ok();
        // A ticket serves once: of one store for all, who comes when it is empty would get none.
        let connector = match scenario.over {
            Over::Resumed => Connector::new(target.clone()),
            _ => Rc::clone(&connector),
        };
        let progress = Arc::clone(&progress);
        let frame = Rc::clone(&frame);
        started += 1;
        tokio::task::spawn_local(async move {
            let ended = client(&connector, scenario, &frame, &progress, permit).await;
            progress.lose(ended);
        });
    }
}

async fn client(
    connector: &Connector,
    scenario: Scenario,
    frame: &[u8],
    progress: &Progress,
    permit: Option<OwnedSemaphorePermit>,
) -> io::Result<()> {
    if scenario.kind == Kind::Connect {
        return connect(connector, progress, permit).await;
    }
    let Opened { mut stream, early, .. } = connector.open().await?;
    if scenario.kind == Kind::Up {
        drop(permit);
        progress.open.fetch_add(1, Ordering::Relaxed);
        while !progress.stopped() {
            stream.write_all(frame).await?;
        }
        return Ok(());
    }
    let mut permit = permit;
    let mut frames = Frames::default();
    let mut first = true;
    let mut pongs = Vec::new();
    let mut came = 0;
    frames.take(&early, |opcode, _| came += u64::from(opcode < 8));
    loop {
        if came > 0 && permit.take().is_some() {
            progress.open.fetch_add(1, Ordering::Relaxed);
        }
        progress.done.fetch_add(came, Ordering::Relaxed);
        let next = scenario.kind == Kind::Echo && came > 0;
        if next || (first && scenario.kind != Kind::Down) {
            stream.write_all(frame).await?;
            stream.flush().await?;
            first = false;
        }
        came = 0;
        let read = read_frames(&mut stream, &mut frames, |opcode, control| match opcode {
            1 | 2 => came += 1,
            9 => pongs.extend(codec::pong(control, true)),
            _ => {}
        });
        let read = read.await?;
        if scenario.kind == Kind::Down {
            progress.bytes.fetch_add(read as u64, Ordering::Relaxed);
        }
        if read == 0 {
            return Err(io::Error::other("the proxy closed a session"));
        }
        if !pongs.is_empty() {
            progress.pings.fetch_add(1, Ordering::Relaxed);
            stream.write_all(&pongs).await?;
            stream.flush().await?;
            pongs = Vec::new();
        }
    }
}

/// Sessions that come and go: each is closed as RFC 6455 wants, the backend closing first.
async fn connect(
    connector: &Connector,
    progress: &Progress,
    permit: Option<OwnedSemaphorePermit>,
) -> io::Result<()> {
    drop(permit);
    let mut first = true;
    while !progress.stopped() {
        let Opened { mut stream, early, tls } = connector.open().await?;
        match tls {
            Some(HandshakeKind::Resumed) => progress.resumed.fetch_add(1, Ordering::Relaxed),
            Some(_) => progress.full.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
        stream.write_all(codec::CLOSE).await?;
        stream.flush().await?;
        let mut frames = Frames::default();
        let mut closed = false;
        frames.take(&early, |opcode, _| closed |= opcode == 8);
        // Its echo, and then the end of the connection, which is the server's to begin.
        while read_frames(&mut stream, &mut frames, |opcode, _| closed |= opcode == 8).await? > 0 {}
        if !closed {
            return Err(io::Error::other("a Close was not answered"));
        }
        progress.done.fetch_add(1, Ordering::Relaxed);
        if std::mem::take(&mut first) {
            progress.open.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
