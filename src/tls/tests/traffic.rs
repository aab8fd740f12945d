use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::Poll;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;

async fn greeted(version: &'static SupportedProtocolVersion) -> Ends {
    let made = certificate(&["a.example"]);
    ends(&acceptor(&made), &Arc::new(client(&made, &[version])), "a.example").await
}

/// Ends of which the server's socket takes a few kilobytes at a time.
async fn narrow() -> Ends {
    let made = certificate(&["a.example"]);
    let config = Arc::new(client(&made, &VERSIONS));
    let (socket, tcp) = sockets().await;
    SockRef::from(&socket).set_send_buffer_size(4096).unwrap();
    ends_over(&acceptor(&made), &config, "a.example", socket, tcp).await
}

#[tokio::test]
async fn what_is_echoed_comes_back_whatever_its_length() {
    for version in VERSIONS {
        let Ends { mut server, mut client, .. } = greeted(version).await;
        let echo = async {
            let mut buf = vec![0; 50_000];
            loop {
                match server.read(&mut buf).await.unwrap() {
                    0 => break server.shutdown().await.unwrap(),
                    read => server.write_all(&buf[..read]).await.unwrap(),
                }
                server.flush().await.unwrap();
            }
        };
        let ask = async {
            let (mut reads, mut writes) = tokio::io::split(&mut client);
            for length in [1, 2, 125, 126, 16_383, 16_384, 16_385, 65_536, 1 << 20] {
                let sent = pattern(length);
                let mut back = vec![0; length];
                let send = async {
                    writes.write_all(&sent).await.unwrap();
                    writes.flush().await.unwrap();
                };
                tokio::join!(send, async { reads.read_exact(&mut back).await.unwrap() });
                assert!(back == sent, "{length}");
            }
            writes.shutdown().await.unwrap();
            assert_eq!(reads.read(&mut [0; 8]).await.unwrap(), 0);
        };
        tokio::join!(echo, ask);
    }
}

#[tokio::test]
async fn a_reader_with_one_byte_of_room_gets_every_byte() {
    let Ends { mut server, mut client, .. } = greeted(&TLS13).await;
    let sent = pattern(20_000);
    let read = async {
        for expected in &sent {
            assert_eq!(server.read_u8().await.unwrap(), *expected);
        }
    };
    let write = async {
        client.write_all(&sent).await.unwrap();
        client.flush().await.unwrap();
    };
    tokio::join!(read, write);
}

#[tokio::test]
async fn a_socket_that_takes_little_at_a_time_gets_every_byte() {
    let Ends { mut server, mut client, .. } = narrow().await;
    let sent = pattern(300_000);
    let write = async {
        server.write_all(&sent).await.unwrap();
        server.shutdown().await.unwrap();
    };
    let read = async {
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert!(read == sent);
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn pieces_are_written_together_as_far_as_one_write_goes() {
    let Ends { mut server, mut client, .. } = greeted(VERSIONS[0]).await;
    let sent = pattern(2 * SEAL_BYTES_MAX);
    // The last of them does not fit.
    for ends in [[0, 9, 9, 16_384], [0, 16_384, 20_000, 2 * SEAL_BYTES_MAX]] {
        let pieces = ends.windows(2).map(|at| IoSlice::new(&sent[at[0]..at[1]]));
        let pieces: Vec<_> = pieces.collect();
        let write = poll_fn(|cx| Pin::new(&mut server).poll_write_vectored(cx, &pieces));
        let written = write.await.unwrap();
        assert_eq!(written, ends[3].min(SEAL_BYTES_MAX));
        let mut read = vec![0; written];
        let (flushed, read_all) = tokio::join!(server.flush(), client.read_exact(&mut read));
        flushed.unwrap();
        read_all.unwrap();
        assert!(read == sent[..written]);
    }
    let write = poll_fn(|cx| Pin::new(&mut server).poll_write_vectored(cx, &[IoSlice::new(&[])]));
    assert_eq!(write.await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_us_keep_one_write_at_most() {
    let Ends { mut server, mut client, .. } = narrow().await;
    let sent = pattern(SEAL_BYTES_MAX);
    let mut accepted = 0;
    let blocked = poll_fn(|cx| {
        while let Poll::Ready(written) = Pin::new(&mut server).poll_write(cx, &sent) {
            accepted += written.unwrap();
        }
        Poll::Ready(server.engine().unsent().len())
    });
    let kept = blocked.await;
    assert!(kept > 0 && kept <= SEAL_BYTES_MAX + SEAL_OVERHEAD_MAX, "{kept}");
    let read = async {
        let mut left = accepted;
        let mut buf = vec![0; 65_536];
        while left > 0 {
            left -= client.read(&mut buf).await.unwrap();
        }
    };
    let (flushed, ()) = tokio::join!(server.flush(), read);
    flushed.unwrap();
    assert_eq!(server.engine().buffers(), 0);
}

#[tokio::test]
async fn a_close_notify_is_a_clean_end_and_we_may_still_write() {
    for version in VERSIONS {
        let Ends { mut server, mut client, .. } = greeted(version).await;
        client.write_all(b"last").await.unwrap();
        client.shutdown().await.unwrap();
        let mut read = Vec::new();
        server.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"last");
        server.write_all(b"bye").await.unwrap();
        server.shutdown().await.unwrap();
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"bye");
    }
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_error_unless_we_have_closed() {
    for close_first in [false, true] {
        let Ends { mut server, mut client, .. } = greeted(&TLS13).await;
        client.write_all(b"cut").await.unwrap();
        if close_first {
            server.shutdown().await.unwrap();
            assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        }
        // Without the session on top: no close_notify.
        client.get_mut().0.shutdown().await.unwrap();
        let mut read = Vec::new();
        let end = server.read_to_end(&mut read).await.map_err(|error| error.kind());
        assert_eq!(read, b"cut");
        assert_eq!(end, if close_first { Ok(3) } else { Err(ErrorKind::UnexpectedEof) });
    }
}

#[tokio::test]
async fn key_updates_of_the_client_pass_unseen() {
    let Ends { mut server, mut client, .. } = greeted(&TLS13).await;
    for round in 0..40_u8 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_u8(round).await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), round);
        server.write_u8(round).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), round);
    }
}

#[tokio::test]
async fn bytes_that_are_no_record_end_the_stream_with_an_alert() {
    let Ends { mut server, client, .. } = greeted(&TLS13).await;
    let (mut tcp, mut session) = client.into_inner();
    tcp.write_all(b"\x17\x03\x03\x00\x20 this is no ciphertext of ours! ").await.unwrap();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.downcast::<rustls::Error>().unwrap(), rustls::Error::DecryptError);
    drop(server);
    let mut wire = Vec::new();
    tcp.read_to_end(&mut wire).await.unwrap();
    session.read_tls(&mut &wire[..]).unwrap();
    let told = session.process_new_packets().unwrap_err();
    assert_eq!(told, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
}

#[tokio::test]
async fn an_idle_stream_owns_no_buffer() {
    let Ends { mut server, mut client, .. } = greeted(&TLS13).await;
    client.write_all(&pattern(500)).await.unwrap();
    client.flush().await.unwrap();
    let mut buf = [0; 1000];
    assert_eq!(server.read(&mut buf).await.unwrap(), 500);
    assert_eq!(server.engine().buffers(), 0);
}
