//! Certificates of clients.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use super::denied;
use crate::actors::{Backend, Certificates, Client};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// The authority of devices, in a directory with `ca.pem` and `list.crl`.
struct Devices {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// One of them.
struct Device {
    serial: u64,
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Devices {
    fn new() -> Devices {
        Devices::named("devices")
    }

    fn named(name: &str) -> Devices {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        let devices =
            Devices { dir: tempfile::tempdir().unwrap(), issuer: Issuer::new(params, key) };
        fs::write(devices.dir.path().join("ca.pem"), ca.pem()).unwrap();
        devices.revoke(&[]);
        devices
    }

    fn device(&self, name: &str, serial: u64) -> Device {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Device { serial, der: certificate.der().clone(), key }
    }

    /// Writes the list of those that are revoked.
    fn revoke(&self, devices: &[&Device]) {
        self.publish(&self.list(2124, devices));
    }

    fn publish(&self, list: &str) {
        fs::write(self.dir.path().join("list.crl"), list).unwrap();
    }

    /// The list of those that are revoked, and there will be another in that year.
    fn list(&self, next: i32, devices: &[&Device]) -> String {
        let revoked = devices.iter().map(|device| RevokedCertParams {
            serial_number: SerialNumber::from(device.serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(next, 1, 1),
            crl_number: SerialNumber::from(1 + devices.len() as u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A listener `devices` that asks for their certificates, with these lines.
    fn listener(&self, site: Site, certificates: &Certificates, more: &str) -> Site {
        let dir = self.dir.path().display();
        site.table(&format!(
            "[listeners.devices]\naddress = \"127.0.0.3:0\"\ntls.certificates = {}\n\
             [listeners.devices.tls.clients]\nroots = \"{dir}/ca.pem\"\n\
             crls = \"{dir}/list.crl\"\n{more}",
            certificates.toml()
        ))
    }
}

/// A client's side of TLS, which keeps tickets.
fn config(certificates: &Certificates, device: Option<&Device>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificates.ca()).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(match device {
        None => builder.with_no_client_auth(),
        Some(device) => {
            let key = PrivateKeyDer::try_from(device.key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![device.der.clone()], key).unwrap()
        }
    })
}

/// The status of a page; none where the handshake is refused, which a client may hear late.
async fn status(client: Client) -> Option<u16> {
    let mut wire = client.connect().await.ok()?;
    use tokio::io::AsyncWriteExt;
    wire.write_all(client.head("GET", &[]).as_bytes()).await.ok()?;
    let head = crate::actors::Head::read(&mut wire).await?;
    // Tickets come with the answer.
    Some(head.status())
}

#[tokio::test]
async fn a_listener_takes_its_authoritys_clients_and_tells_the_backend_who_they_are() {
    let (certificates, devices) = (Certificates::new(&["localhost"]), Devices::new());
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (one, other) = (devices.device("one.devices.example", 1), devices.device("Two.other", 2));
    let rule = "[access.devices.certificate]\nnames = [\"*.devices.example\"]";
    let site = devices
        .listener(site(&backends.each_ref()), &certificates, "")
        .table(rule)
        .route("access = \"devices\"\n[[routes]]\npath = \"/open\"\npool = \"chat\"");
    let proxy = Proxy::start(&site).await;
    let at =
        |device: Option<&Device>| proxy.client_of("devices").showing(config(&certificates, device));
    let lies = |client: Client| client.field("Client-Cert", ":eA==:").field("Client_Cert", "x");
    assert_eq!(status(lies(at(Some(&one)))).await, Some(200));
    assert_eq!(lies(at(Some(&one))).handshake().await.0.status(), 101);
    assert_eq!(status(at(Some(&other))).await, Some(403));
    assert_eq!(status(at(Some(&other)).path("/open")).await, Some(200));
    assert_eq!(status(at(None)).await, None, "one is required");
    // Who comes by another listener has none, whatever it says.
    assert_eq!(status(lies(proxy.client())).await, Some(403));
    assert_eq!(status(lies(proxy.client().path("/open"))).await, Some(200));
    let heads: Vec<_> = backends.iter().flat_map(|backend| backend.heads()).collect();
    let told = |head: &&crate::actors::Head| head.all("client-cert").count() == 1;
    assert_eq!((heads.len(), heads.iter().filter(told).count()), (4, 3), "{heads:?}");
    let field = |device: &Device| format!(":{}:", STANDARD.encode(&device.der));
    let of = |device: &Device| {
        heads.iter().filter(|head| head.get("client-cert") == field(device)).count()
    };
    assert_eq!((of(&one), of(&other)), (2, 1));
    assert!(!format!("{heads:?}").contains("eA=="));
    assert_eq!(denied(&proxy, "devices", "certificate"), 1);
    assert_eq!(denied(&proxy, "devices", "no_certificate"), 1);
    proxy.stop().await;
}

#[tokio::test]
async fn a_certificate_fills_holes_and_tells_sessions_apart() {
    let (certificates, devices) = (Certificates::new(&["localhost"]), Devices::new());
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (one, other) = (devices.device("one.devices.example", 0x2a), devices.device("Two.x", 2));
    let site = devices
        .listener(site(&backends.each_ref()), &certificates, "required = false")
        .https(&[&certificates], "")
        .route(
            "request_headers.set.X-Device = \"{client_cert.san} {client_cert.serial} \
             {client_cert.sha256}\"\n\
             request_headers.set.X-Subject = \"{client_cert.subject}\"\n\
             labels = { device = \"{client_cert.san}\" }\n\
             limits.sessions = { key = \"client_cert:sha256\", max = 1 }",
        );
    let proxy = Proxy::start(&site).await;
    let at =
        |device: Option<&Device>| proxy.client_of("devices").showing(config(&certificates, device));
    let mut sessions = Vec::new();
    for device in [&one, &other] {
        sessions.push(at(Some(device)).open().await);
        // Each has one, whatever the other has, and though both come from here.
        assert_eq!(at(Some(device)).handshake().await.0.status(), 429);
    }
    // Who shows none counts by its address, and forges nothing.
    let forged = at(None).field("X-Device", "one").field("X-Subject", "CN=one");
    sessions.push(forged.open().await);
    assert_eq!(at(None).handshake().await.0.status(), 429);
    for session in &mut sessions {
        session.echo("it lives").await;
    }
    let heads: Vec<_> = backends.iter().flat_map(|backend| backend.heads()).collect();
    assert_eq!(heads.len(), 3);
    let said = |device: &Device, name: &str, serial: &str| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &device.der);
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {serial} {hash}")
    };
    for expected in [said(&one, "one.devices.example", "2a"), said(&other, "two.x", "02")] {
        let head = heads.iter().find(|head| head.get("x-device") == expected);
        assert_eq!(
            head.unwrap_or_else(|| panic!("{expected}: {heads:?}")).get("x-subject"),
            SUBJECT
        );
    }
    let nobody = heads.iter().filter(|head| head.get("x-subject").is_empty());
    assert_eq!(nobody.count(), 1);
    drop(sessions);
    proxy.stop().await;
}

/// Of a certificate whose maker says nothing else.
const SUBJECT: &str = "CN=rcgen self signed cert";

#[tokio::test]
async fn no_ticket_stands_for_a_certificate_that_was_not_shown() {
    let (certificates, devices) = (Certificates::new(&["localhost"]), Devices::new());
    let backend = Backend::echo("a").await;
    for (more, refused) in [("", None), ("required = false", Some(403))] {
        let rule = "[access.devices.certificate]\n[[routes]]\npath = \"/open\"\npool = \"chat\"";
        let site = devices.listener(site(&[&backend]), &certificates, more);
        let site = site.https(&[&certificates], "").table(rule).route("access = \"devices\"");
        let proxy = Proxy::start(&site).await;
        let config = config(&certificates, None);
        let open = proxy.client_of("https").showing(Arc::clone(&config)).path("/open");
        let closed = proxy.client_of("devices").showing(config);
        for _ in 0..2 {
            // Each brings a ticket, for a server of the same name.
            assert_eq!(status(open.clone()).await, Some(200));
            assert_eq!(status(closed.clone()).await, refused, "{more}");
        }
        let resumed = proxy.scrape();
        assert!(!resumed.contains("panicked"));
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_after_a_reload_of_the_list_alone() {
    let (certificates, devices) = (Certificates::new(&["localhost"]), Devices::new());
    let backend = Backend::echo("a").await;
    let (lost, kept) = (devices.device("a.example", 1), devices.device("b.example", 2));
    let proxy = Proxy::start(&devices.listener(site(&[&backend]), &certificates, "")).await;
    let at = |config: &Arc<ClientConfig>| proxy.client_of("devices").showing(Arc::clone(config));
    let (lost_tls, kept_tls) =
        (config(&certificates, Some(&lost)), config(&certificates, Some(&kept)));
    let mut session = at(&lost_tls).open().await;
    session.echo("before").await;
    for config in [&lost_tls, &kept_tls] {
        assert_eq!(status(at(config)).await, Some(200));
    }
    devices.revoke(&[&lost]);
    proxy.reload_files().await.unwrap();
    // It has a ticket, which would stand for the certificate as it was.
    assert_eq!(status(at(&lost_tls)).await, None);
    assert_eq!(status(at(&kept_tls)).await, Some(200));
    session.echo("who is there stays").await;
    // What is no list changes nothing.
    fs::write(devices.dir.path().join("list.crl"), "-----BEGIN X509 CRL-----\n").unwrap();
    let refused = proxy.reload_files().await.unwrap_err();
    assert!(refused.contains("list.crl"), "{refused}");
    assert_eq!(status(at(&lost_tls)).await, None);
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn by_a_list_that_says_nothing_of_it_today_no_certificate_is_let_in() {
    let (certificates, devices) = (Certificates::new(&["localhost"]), Devices::new());
    let backend = Backend::echo("a").await;
    let (kept, lost) = (devices.device("a.example", 1), devices.device("b.example", 2));
    let proxy = Proxy::start(&devices.listener(site(&[&backend]), &certificates, "")).await;
    let at = |device| proxy.client_of("devices").showing(config(&certificates, Some(device)));
    let (good, other) = (devices.list(2124, &[&lost]), Devices::named("others").list(2124, &[]));
    for (what, list, passes) in [
        ("its next update is overdue", devices.list(2025, &[&lost]), false),
        ("it has come", good.clone(), true),
        ("it is another authority's", other.clone(), false),
        ("there are both", other + &good, true),
        ("it is signed by a namesake", Devices::new().list(2124, &[]), false),
        ("it is good again", good.clone(), true),
    ] {
        devices.publish(&list);
        proxy.reload_files().await.unwrap();
        assert_eq!(status(at(&kept)).await, passes.then_some(200), "{what}");
        assert_eq!(status(at(&lost)).await, None, "{what}");
    }
    // Of two lists for the same certificates only the first would count.
    for list in [devices.list(2124, &[]) + &good, String::new()] {
        devices.publish(&list);
        let refused = proxy.reload_files().await.unwrap_err();
        assert!(refused.contains("list.crl"), "{refused}");
        assert_eq!((status(at(&kept)).await, status(at(&lost)).await), (Some(200), None));
    }
    fs::remove_file(devices.dir.path().join("list.crl")).unwrap();
    let refused = proxy.reload_files().await.unwrap_err();
    assert!(refused.contains("list.crl"), "{refused}");
    assert_eq!((status(at(&kept)).await, status(at(&lost)).await), (Some(200), None));
    proxy.stop().await;
}

#[tokio::test]
async fn a_strict_listener_shows_no_certificate_for_a_name_that_it_has_not() {
    let certificates = Certificates::new(&["localhost", "other.example"]);
    let backend = Backend::echo("a").await;
    let own = Certificates::new(&["localhost"]);
    let site = |lines: &str| site(&[&backend]).https(&[&own], lines);
    let proxy = Proxy::start(&site("tls.strict_sni = true")).await;
    assert_eq!(status(proxy.client_of("https").tls(&own)).await, Some(200));
    let stranger = proxy.client_of("https").tls(&own).host("other.example");
    let error = stranger.connect().await.err().unwrap().to_string();
    assert!(!error.contains("NotValidForName"), "no certificate was shown: {error}");
    proxy.reload(&site("")).await.unwrap();
    let error = stranger.connect().await.err().unwrap().to_string();
    assert!(error.contains("other.example") || error.contains("NotValidForName"), "{error}");
    drop(certificates);
    proxy.stop().await;
}
