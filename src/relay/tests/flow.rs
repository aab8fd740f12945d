//! What passes, and how.

use super::scene::{Far, Scene, close, frame, rules, run, text};
use crate::base::side::Side;
use crate::end::End;

#[test]
fn messages_and_closes_pass_both_ways_as_they_are() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        for size in [0, 1, 125, 126, 65_535, 65_536] {
            let up = frame(Side::Client, 0x82, &vec![7; size]);
            scene.client.send(&up).await;
            scene.upstream.expect(&up).await;
            let down = frame(Side::Upstream, 0x81, &vec![b'x'; size]);
            scene.upstream.send(&down).await;
            scene.client.expect(&down).await;
        }
        let bye = close(Side::Client, 4321, "that was all");
        scene.client.send(&bye).await;
        scene.upstream.expect(&bye).await;
        let echo = close(Side::Upstream, 4321, "and this the answer");
        scene.upstream.send(&echo).await;
        scene.client.expect(&echo).await;
        // We are the client's server: we end its connection first (RFC 6455 §7.1.1).
        scene.client.expect_end().await;
        scene.hang_up(Side::Client).await;
        scene.hang_up(Side::Upstream).await;
        let (end, tally) = scene.ended().await;
        assert_eq!(end, End::Closed { by: Side::Client, code: 4321 });
        assert_eq!((tally.client.messages, tally.upstream.messages), (6, 6));
        assert_eq!((tally.client.close, tally.upstream.close), (Some(4321), Some(4321)));
        assert!(!tally.cut);
    });
}

#[test]
fn a_frame_passes_while_it_is_still_arriving() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        let message = frame(Side::Client, 0x81, &[b'a'; 1000]);
        for part in message.chunks(100) {
            scene.client.send(part).await;
            scene.upstream.expect(part).await;
        }
        let short = text(Side::Upstream, "in single bytes");
        for byte in &short {
            scene.upstream.send(&[*byte]).await;
        }
        scene.client.expect(&short).await;
    });
}

#[test]
fn a_side_that_does_not_read_holds_the_other_back_and_loses_nothing() {
    run(async || {
        let scene = Scene::tiny(rules()).await;
        let Scene { client: Far(mut client), upstream: Far(mut upstream), .. } = scene;
        let (mut reads, mut writes) = client.split();
        let message = frame(Side::Upstream, 0x82, &vec![9; 300_000]);
        let stream = async {
            use tokio::io::AsyncWriteExt;
            for _ in 0..20 {
                upstream.write_all(&message).await.unwrap();
            }
        };
        let receive = async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut buffer = vec![0; 1000];
            for count in 0..message.len() * 20 / 1000 {
                reads.read_exact(&mut buffer).await.unwrap();
                if count % 100 == 0 {
                    writes.write_all(&text(Side::Client, "still here")).await.unwrap();
                }
            }
        };
        tokio::join!(stream, receive);
    });
}
