//! How much is read at once.

use std::future::poll_fn;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::super::buffer::{self, READ_BYTES};
use super::super::leg::Read;
use super::scene::{PATIENCE, run};
use crate::base::socket::Socket;
use crate::relay::Leg;
use crate::tls::Transport;

/// A leg, and the far end of it: what is written there is there to be read at once.
fn leg() -> (Leg, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (Leg::new(Transport::from(Socket::from(near)), Vec::new()), far)
}

async fn write(far: &mut UnixStream, bytes: usize) {
    timeout(PATIENCE, far.write_all(&vec![7; bytes])).await.unwrap().unwrap();
}

/// Reads once; says how many bytes that gave.
async fn read(leg: &mut Leg) -> usize {
    let read = poll_fn(|cx| buffer::lend(|buffer| leg.poll_read(cx, buffer)));
    match timeout(PATIENCE, read).await.unwrap() {
        Read::Bytes(bytes) => bytes,
        Read::End(how) => panic!("the stream has ended: {how:?}"),
    }
}

#[test]
fn a_stream_that_runs_hot_is_read_in_larger_pieces_until_it_cools() {
    run(async || {
        let (mut leg, mut far) = leg();
        // It begins cool, fills a read, and is hot.
        write(&mut far, 4 * READ_BYTES + 10).await;
        assert_eq!(read(&mut leg).await, READ_BYTES);
        assert_eq!(read(&mut leg).await, 3 * READ_BYTES + 10);
        // Hotter still, it is read in pieces larger than those.
        write(&mut far, 5 * READ_BYTES).await;
        assert_eq!(read(&mut leg).await, 5 * READ_BYTES);
        // A read that finds little cools it: the next is small again.
        write(&mut far, 10).await;
        assert_eq!(read(&mut leg).await, 10);
        write(&mut far, 4 * READ_BYTES).await;
        assert_eq!(read(&mut leg).await, READ_BYTES);
        // Hot again; that the other side did not take all cools it, too, before much is kept.
        leg.cool();
        assert_eq!(read(&mut leg).await, READ_BYTES);
        assert_eq!(read(&mut leg).await, 2 * READ_BYTES);
        // And it goes up step by step.
        leg.cool();
        write(&mut far, 7 * READ_BYTES).await;
        assert_eq!(read(&mut leg).await, READ_BYTES);
        assert_eq!(read(&mut leg).await, 4 * READ_BYTES);
        assert_eq!(read(&mut leg).await, 2 * READ_BYTES);
    });
}
