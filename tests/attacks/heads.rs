//! The limit of an answer's head, which does not hang on how the head is split.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::actors::Backend;
use crate::proxy::Proxy;
use crate::site::site;

/// Bytes of an answer's head at most.
const LIMIT: usize = 64 * 1024;

#[tokio::test]
async fn a_heads_limit_holds_however_it_comes() {
    let backend = Backend::script(|head, mut wire| async move {
        let (size, split) = head.second()[1..].split_once('/').unwrap();
        let (size, split): (usize, usize) = (size.parse().unwrap(), split.parse().unwrap());
        let begin = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nX:";
        let end = "\r\n\r\n";
        let filling = "x".repeat(size - begin.len() - end.len() - 1);
        let text = [begin, " ", &filling, end].concat();
        assert_eq!(text.len(), size);
        for piece in text.as_bytes().chunks(split) {
            let _ = wire.write_all(piece).await;
            // So that it is read by itself, if not always: the outcome is the same.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend]).pool("health = { failures_max = 1000 }")).await;
    for (size, wanted) in [(LIMIT, 200), (LIMIT + 1, 502), (LIMIT + 7_000, 502)] {
        for split in [size, size / 2 + 1, 65_000, 30_000] {
            let client = proxy.client().path(&format!("/{size}/{split}"));
            for asking in [client.head("GET", &[]), client.upgrade("AAAAAAAAAAAAAAAAAAAAAA==")] {
                let (head, _wire) = client.say(asking.as_bytes()).await;
                assert_eq!(head.unwrap().status(), wanted, "{size} bytes by {split}");
            }
        }
    }
    proxy.stop().await;
}
