use super::*;
use crate::listen::connected;

fn any_port() -> Address {
    Address::Inet("127.0.0.1:0".parse().unwrap())
}

#[test]
fn port_0_is_answered_with_the_port_chosen() {
    let listening = Listening::open(&any_port()).unwrap();
    let Address::Inet(bound) = listening.bound() else { panic!() };
    assert_ne!(bound.port(), 0);
    assert_eq!(listening.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let _client = std::net::TcpStream::connect(bound).unwrap();
    assert_eq!(listening.accept().unwrap().1.unwrap().ip(), bound.ip());
}

#[tokio::test]
async fn what_is_accepted_neither_blocks_nor_waits_for_more_to_send() {
    let opened = Listening::open(&any_port()).unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let inherited = Listening::inherit(&any_port(), other.into()).unwrap();
    for listening in [opened, inherited] {
        let Address::Inet(bound) = *listening.bound() else { panic!() };
        let _client = std::net::TcpStream::connect(bound).unwrap();
        let (fd, _) = listening.accept().unwrap();
        let tcp = connected(fd, listening.bound()).unwrap();
        let tcp = socket2::SockRef::from(&tcp);
        assert!(tcp.tcp_nodelay().unwrap());
        let error = std::io::Read::read(&mut &*tcp, &mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn a_port_in_use_is_named_with_a_hint() {
    let first = Listening::open(&any_port()).unwrap();
    let error = Listening::open(first.bound()).unwrap_err();
    let expected = format!("cannot listen on `{}`: the port is in use", first.bound());
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("another port"));
}

#[test]
fn an_ipv6_socket_leaves_ipv4_to_others() {
    // A port may be in use for IPv4 by a stranger; ten are not.
    let mut refused = Vec::new();
    while refused.len() < 10 {
        let Ok(six) = Listening::open(&Address::Inet("[::]:0".parse().unwrap())) else { return };
        let Address::Inet(bound) = six.bound() else { panic!() };
        let four = SocketAddr::from(([0, 0, 0, 0], bound.port()));
        match Listening::open(&Address::Inet(four)) {
            Ok(_) => return,
            Err(error) => refused.push((six, error)),
        }
    }
    panic!("{refused:?}");
}

#[test]
fn a_stale_unix_socket_is_replaced_and_removed_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let address = Address::Unix(path.clone());
    let listening = Listening::open(&address).unwrap();
    let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert_eq!(listening.accept().unwrap().1, None);
    let error = Listening::open(&address).unwrap_err();
    assert!(error.to_string().ends_with("another process listens there"), "{error}");
    drop(listening);
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("precious");
    fs::write(&path, "text").unwrap();
    let error = Listening::open(&Address::Unix(path.clone())).unwrap_err();
    assert!(error.to_string().ends_with("a file that is no socket is there"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
}

#[test]
fn a_file_put_in_the_place_of_ours_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let ours = Listening::open(&Address::Unix(path.clone())).unwrap();
    fs::rename(&path, dir.path().join("moved")).unwrap();
    let theirs = Listening::open(&Address::Unix(path.clone())).unwrap();
    drop(ours);
    assert!(path.exists());
    drop(theirs);
    assert!(!path.exists());
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// The umask belongs to the whole process, so the test's own is left as it is: modes on both sides
/// of it are asked for.
#[test]
fn a_unix_socket_has_the_mode_asked_for_whatever_the_umask_is_and_takes_another_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    for (written, bits) in [("0600", 0o600), ("0660", 0o660), ("0666", 0o666), ("0777", 0o777)] {
        let mode = |text: &str| serde_json::from_value(text.into()).unwrap();
        let listening = Listening::open_unix(&path, Some(mode(written))).unwrap();
        assert_eq!(mode_of(&path), bits);
        listening.set_mode(mode("0620"));
        assert_eq!(mode_of(&path), 0o620);
        // Of another process's file nothing is changed.
        listening.give_up_file();
        listening.set_mode(mode("0600"));
        assert_eq!(mode_of(&path), 0o620);
        listening.own_file();
    }
    assert!(!path.exists());
}

#[test]
fn an_inherited_socket_goes_on_with_what_was_queued() {
    let first = Listening::open(&any_port()).unwrap();
    let Address::Inet(bound) = first.bound().clone() else { panic!() };
    let _queued = std::net::TcpStream::connect(bound).unwrap();
    let fd = first.as_fd().try_clone_to_owned().unwrap();
    drop(first);
    let second = Listening::inherit(&Address::Inet(bound), fd).unwrap();
    second.accept().unwrap();
    let (reader, _writer) = io::pipe().unwrap();
    let error = Listening::inherit(&any_port(), reader.into()).unwrap_err();
    assert!(error.to_string().contains("no listening socket"), "{error}");
}
