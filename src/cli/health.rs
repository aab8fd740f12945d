//! `tidegate health`: one question to the admin listener, for containers' health checks.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use http::Uri;

use super::args::Health;
use super::ask::{self, Question};
use super::config_file;
use super::exit::Failure;
use crate::config;

/// How long connecting, asking and answering may take, each.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the URL named, or else `/healthz` of the configuration's admin listener.
pub(super) fn check(asked: &Health) -> Result<(), Failure> {
    if let Some(url) = &asked.url {
        return ask(url);
    }
    let file = config_file::find(&asked.file)?;
    let address = config::admin_address(&file, &config::process_environment);
    let Some(address) = address.map_err(config_file::refused)? else {
        let file = file.display();
        return Err(Failure::Usage(format!(
            "`{file}` has no `[admin]` listener to ask; add one, or name a URL with `--url`"
        )));
    };
    let url = format!("http://{address}/healthz");
    ask(&url.parse().map_err(Failure::run)?)
}

/// Asks `url`; any status but 2xx is a failure.
fn ask(url: &Uri) -> Result<(), Failure> {
    if url.scheme_str() != Some("http") {
        return Err(Failure::Usage(format!("health is asked over `http://` only: {url}")));
    }
    match get(url) {
        Ok((200..=299, _)) => Ok(()),
        Ok((status, body)) => {
            Err(Failure::run(format!("not healthy, {url} answers {status}: {body}")))
        }
        Err(error) => Err(Failure::run(format!(
            "no answer from {url}: {error}\nhint: it is answered while tidegate runs with the \
             table `[admin]`, at its `address`"
        ))),
    }
}

/// The answer to a GET (RFC 9110 §9.3.1).
fn get(url: &Uri) -> io::Result<(u16, String)> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let mut last = io::Error::other("the name has no address");
    for address in (host, url.port_u16().unwrap_or(80)).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                let target = url.path_and_query().map_or("/", |target| target.as_str());
                let host = url.authority().map_or("", |authority| authority.as_str());
                let (method, accept, body) = ("GET", "*/*", "");
                return ask::ask(stream, &Question { method, target, host, accept, body });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// What is said of a server that answers `answer` to its one visitor.
    fn asked(answer: &'static str) -> Result<(), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/healthz", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 512];
            let length = stream.read(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        let outcome = ask(&url.parse().unwrap());
        assert!(server.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:"));
        outcome
    }

    #[test]
    fn only_a_good_status_is_healthy() {
        assert_eq!(asked("HTTP/1.1 200 OK\r\n\r\nok"), Ok(()));
        let sick = asked("HTTP/1.1 503 Service Unavailable\r\n\r\nstopping\n").unwrap_err();
        assert!(matches!(&sick, Failure::Run(text) if text.ends_with("503: stopping")), "{sick:?}");
        assert_eq!(asked("").unwrap_err().code(), 1);
    }

    #[test]
    fn nobody_there_is_not_healthy_and_https_is_not_spoken() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(ask(&format!("http://{free}/").parse().unwrap()).unwrap_err().code(), 1);
        assert_eq!(ask(&"https://localhost/".parse().unwrap()).unwrap_err().code(), 2);
    }
}
