//! A name server of our own, over UDP and TCP on one port: what it answers, and how, a test changes
//! while it runs (RFC 1035 §4).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};

/// Bytes of an answer over UDP, as resolvers of today ask for.
const UDP_BYTES_MAX: usize = 1232;

/// One record of a name.
#[derive(Clone)]
pub enum Data {
    Address(IpAddr),
    Service { priority: u16, weight: u16, port: u16, target: &'static str },
    Alias(&'static str),
}

/// How it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// What its zone has.
    Honest,
    /// Not at all.
    Silent,
    /// With this code: 2 is SERVFAIL, 5 is REFUSED.
    Failing(u8),
    /// Half of the records, and says that there are more; over TCP too.
    Truncating,
    /// As it should; but before that with another id, then to another question, and with a record
    /// of another name beside the right ones.
    Foreign,
    /// With bytes that are no answer.
    Garbage,
}

struct Zone {
    records: BTreeMap<String, Vec<Data>>,
    ttl: u32,
    manner: Manner,
    /// For questions about these names, in its place.
    manners: BTreeMap<String, Manner>,
    asked: usize,
}

pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    serving: [JoinHandle<()>; 2],
}

impl NameServer {
    /// One with an empty zone.
    pub async fn start() -> NameServer {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            // The port may be another's for UDP.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let (records, manner) = (BTreeMap::new(), Manner::Honest);
        let zone = Zone { records, ttl: 5, manner, manners: BTreeMap::new(), asked: 0 };
        let zone = Arc::new(Mutex::new(zone));
        let address = tcp.local_addr().unwrap();
        let serving = [
            tokio::spawn(serve_udp(udp, Arc::clone(&zone))),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&zone))),
        ];
        NameServer { address, zone, serving }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives a name these records, in place of those it has.
    pub fn set(&self, name: &str, records: Vec<Data>) {
        self.zone.lock().unwrap().records.insert(name.to_owned(), records);
    }

    /// Gives a name these addresses.
    pub fn addresses(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        self.set(name, addresses.into_iter().map(Data::Address).collect());
    }

    /// There is no such name any more.
    pub fn remove(&self, name: &str) {
        self.zone.lock().unwrap().records.remove(name);
    }

    pub fn behave(&self, manner: Manner) {
        self.zone.lock().unwrap().manner = manner;
    }

    /// Answers about this name in another way than about others.
    pub fn behave_for(&self, name: &str, manner: Manner) {
        self.zone.lock().unwrap().manners.insert(name.to_owned(), manner);
    }

    pub fn ttl(&self, seconds: u32) {
        self.zone.lock().unwrap().ttl = seconds;
    }

    /// Questions so far.
    pub fn asked(&self) -> usize {
        self.zone.lock().unwrap().asked
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
    }
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut space = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut space).await else { continue };
        let answers = answers(&space[..length], &zone, true);
        for answer in answers {
            // Who asked may be gone.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        connections.spawn(serve_connection(tcp, Arc::clone(&zone)));
    }
}

async fn serve_connection(mut tcp: TcpStream, zone: Arc<Mutex<Zone>>) {
    while let Ok(length) = tcp.read_u16().await {
        let mut question = vec![0; length.into()];
        if tcp.read_exact(&mut question).await.is_err() {
            return;
        }
        for answer in answers(&question, &zone, false) {
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            if tcp.write_all(&[&length[..], &answer].concat()).await.is_err() {
                return;
            }
        }
    }
}

/// What a question asks for.
struct Question<'a> {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// As it came.
    bytes: &'a [u8],
}

impl Question<'_> {
    fn read(message: &[u8]) -> Question<'_> {
        let (mut labels, mut at) = (Vec::new(), 12);
        while message[at] > 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(std::str::from_utf8(&message[at + 1..end]).unwrap().to_ascii_lowercase());
            at = end;
        }
        let kind = u16::from_be_bytes([message[at + 1], message[at + 2]]);
        let id = [message[0], message[1]];
        Question { id, name: labels.join("."), kind, bytes: &message[12..at + 5] }
    }
}

fn answers(message: &[u8], zone: &Mutex<Zone>, is_udp: bool) -> Vec<Vec<u8>> {
    let question = Question::read(message);
    let mut zone = zone.lock().unwrap();
    zone.asked += 1;
    let own = zone.records.get(&question.name);
    let fits = |data: &&Data| {
        let kind = kind(data);
        kind == question.kind || kind == 5
    };
    let records: Vec<&Data> = own.into_iter().flatten().filter(fits).collect();
    let records: Vec<Vec<u8>> =
        records.into_iter().map(|data| record(&question.name, data, zone.ttl)).collect();
    let code = if own.is_none() { 3 } else { 0 };
    let whole = reply(&question, code, false, &records);
    match zone.manners.get(&question.name).copied().unwrap_or(zone.manner) {
        Manner::Honest if is_udp && whole.len() > UDP_BYTES_MAX => {
            vec![reply(&question, code, true, &[])]
        }
        Manner::Honest => vec![whole],
        Manner::Silent => Vec::new(),
        Manner::Failing(code) => vec![reply(&question, code, false, &[])],
        Manner::Truncating => vec![reply(&question, code, true, &records[..records.len() / 2])],
        Manner::Garbage => vec![[&question.id[..], b"\xff\xffgarbage"].concat()],
        Manner::Foreign => {
            let bad = |name: &str| vec![record(name, &Data::Address([127, 9, 9, 9].into()), 5)];
            let [high, low] = question.id;
            let other_id = Question { id: [high, !low], name: String::new(), ..question };
            let other_bytes = [name("other.test"), vec![0, 1, 0, 1]].concat();
            let other_question =
                Question { id: question.id, name: String::new(), kind: 1, bytes: &other_bytes };
            let beside = [records, bad("other.test")].concat();
            vec![
                reply(&other_id, 0, false, &bad(&question.name)),
                reply(&other_question, 0, false, &bad("other.test")),
                reply(&question, code, false, &beside),
            ]
        }
    }
}

fn reply(question: &Question<'_>, code: u8, is_truncated: bool, records: &[Vec<u8>]) -> Vec<u8> {
    // An answer; recursion was asked for and is there.
    let flags = [if is_truncated { 0x83 } else { 0x81 }, 0x80 | code];
    let count = u16::try_from(records.len()).unwrap().to_be_bytes();
    let head = [&question.id[..], &flags, &[0, 1], &count, &[0, 0, 0, 0]].concat();
    [head, question.bytes.to_vec(), records.concat()].concat()
}

fn kind(data: &Data) -> u16 {
    match data {
        Data::Address(IpAddr::V4(_)) => 1,
        Data::Alias(_) => 5,
        Data::Address(IpAddr::V6(_)) => 28,
        Data::Service { .. } => 33,
    }
}

fn record(owner: &str, data: &Data, ttl: u32) -> Vec<u8> {
    let content = match data {
        Data::Address(IpAddr::V4(ip)) => ip.octets().to_vec(),
        Data::Address(IpAddr::V6(ip)) => ip.octets().to_vec(),
        Data::Alias(target) => name(target),
        Data::Service { priority, weight, port, target } => {
            let numbers = [*priority, *weight, *port].map(u16::to_be_bytes).concat();
            [numbers, name(target)].concat()
        }
    };
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let kind = kind(data).to_be_bytes();
    [&name(owner)[..], &kind, &[0, 1], &ttl.to_be_bytes(), &length, &content].concat()
}

fn name(text: &str) -> Vec<u8> {
    let label =
        |label: &str| [&[u8::try_from(label.len()).unwrap()][..], label.as_bytes()].concat();
    text.split('.').filter(|label| !label.is_empty()).flat_map(label).chain([0]).collect()
}
