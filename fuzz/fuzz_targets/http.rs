//! Any bytes, sent to a listener on a socket of the system: the connection ends, and so do its
//! tasks. A panic on a worker ends the run.
#![no_main]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tidegate::config::plan::Address;
use tidegate::control::{ConfigSource, Options, Supervisor};

const SITE: &str = r#"
workers = 1
[listeners.plain]
address = "127.0.0.1:0"
http2 = { h2c = true }
# What has ended in the middle of a preface is waited for: not long, or that is all a run does.
limits = { head_timeout = "50ms", keep_alive_timeout = "50ms" }
[pools.none]
backends = ["127.0.0.1:1"]
retry = { attempts_max = 1 }
[[routes]]
respond = { body = "well" }
[[routes]]
path = "/pool"
pool = "none"
[[routes]]
path = "/old"
redirect = "/new{query}"
"#;

static PROXY: OnceLock<SocketAddr> = OnceLock::new();

fn start() -> SocketAddr {
    let file = std::env::temp_dir().join(format!("tidegate-fuzz-{}.toml", std::process::id()));
    fs::write(&file, SITE).unwrap();
    let supervisor = Supervisor::start(Options::new(ConfigSource::File(file.clone())))
        .unwrap_or_else(|error| panic!("{error}"));
    fs::remove_file(file).unwrap();
    let address = supervisor.address("plain");
    // It lives as long as the process.
    std::mem::forget(supervisor);
    match address {
        Some(Address::Inet(address)) => address,
        other => panic!("{other:?}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut client = TcpStream::connect(PROXY.get_or_init(start)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    // It may have heard enough before the end.
    let _ = client.write_all(data);
    let _ = client.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = client.read_to_end(&mut answer) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the connection does not end");
    }
});
