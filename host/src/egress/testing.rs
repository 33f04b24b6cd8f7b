//! Servers on loopback for the tests of the gate: an HTTP server that records what it gets, a CONNECT proxy, and a certificate
//! authority of their own.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{CallEgress, Gate, Reach, Request, Settings, client::Lookup};
use crate::secrets::{CallSecrets, Marker, Secret};

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub method: String,
    /// As in the request line.
    pub uri: String,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Answer = http::Response<Full<Bytes>>;

/// A server on loopback.
pub(super) struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Server {
    pub(super) async fn http(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, answer).await
    }

    pub(super) async fn https(
        ca: &Authority,
        name: &str,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(ca.acceptor(name)), answer).await
    }

    async fn start(tls: Option<TlsAcceptor>, answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, record, count) = (Arc::new(answer), Arc::clone(&seen), Arc::clone(&connections));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (answer, record, tls) = (Arc::clone(&answer), Arc::clone(&record), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, answer, record).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, answer, record).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, connections }
    }

    /// A server that writes those bytes to each connection once it has read something, and then closes or stays silent.
    pub(super) async fn raw(bytes: Vec<u8>, then_close: bool) -> Self {
        use tokio::io::AsyncReadExt;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(&bytes).await;
                    if !then_close {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, seen: Arc::default(), connections }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    answer: Arc<impl Fn(&Seen) -> Answer + Send + Sync + 'static>,
    record: Arc<Mutex<Vec<Seen>>>,
) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let seen = Seen {
                method: parts.method.to_string(),
                uri: parts.uri.to_string(),
                headers: parts.headers,
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            let response = answer(&seen);
            record.lock().unwrap().push(seen);
            Ok::<_, hyper::Error>(response)
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A proxy that leads every CONNECT to one server and records where it was asked to go.
pub(super) async fn connect_proxy(upstream: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let record = Arc::clone(&record);
            let service = service_fn(move |request: http::Request<Incoming>| {
                record.lock().unwrap().push(Seen {
                    method: request.method().to_string(),
                    uri: request.uri().to_string(),
                    headers: request.headers().clone(),
                    body: String::new(),
                });
                tokio::spawn(async move {
                    if let Ok(upgraded) = upgrade::on(request).await {
                        let mut server = TcpStream::connect(upstream).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut server).await;
                    }
                });
                async { Ok::<_, hyper::Error>(Answer::default()) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
        }
    });
    (address, asked)
}

/// A certificate authority, and the folder with its certificate.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    _folder: tempfile::TempDir,
    pub pem: PathBuf,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("ca.pem");
        std::fs::write(&pem, issuer.pem()).unwrap();
        Self { issuer, _folder: folder, pem }
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// An answer with a status, headers and a body.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut response = Answer::new(Full::new(body.into()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}

/// A gate that resolves every name to those addresses and counts how often it is asked.
pub(super) fn gate(settings: &Settings, addresses: &[&str]) -> (Arc<Gate>, Arc<AtomicUsize>) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup = Lookup::with(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        addresses.clone()
    });
    (Arc::new(Gate::with_lookup(settings, lookup).unwrap()), asked)
}

/// Settings that name loopback hosts as the project's own.
pub(super) fn own(hosts: &[&str]) -> Settings {
    Settings { allow_private: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Settings::default() }
}

/// A call with a grant (TOML) and secrets. `PORT` in the grant stands for the port.
pub(super) fn call(gate: &Arc<Gate>, grant: &str, port: u16, secrets: &[(&str, &str)]) -> CallEgress {
    let granted = toml::from_str(&grant.replace("PORT", &port.to_string())).unwrap();
    let reach = Reach::compile(&granted, &std::collections::BTreeMap::new()).unwrap();
    let secrets = secrets.iter().fold(CallSecrets::none(), |all, (slot, value)| {
        all.with(slot, Secret::new((*value).to_owned()), Marker::Env((*slot).to_owned()))
    });
    CallEgress::new(Arc::clone(gate), Arc::new(reach), Arc::new(secrets))
}

pub(super) fn request(method: &str, url: &str) -> Request {
    Request { method: method.into(), url: url.into(), ..Request::default() }
}

/// The JSON key of a service account that does not exist, as Google's console writes it.
pub(super) fn service_account() -> serde_json::Value {
    let pem = include_str!("../../../tests/keys/service-account.pem");
    let start = pem.find("-----BEGIN").unwrap();
    serde_json::json!({
        "type": "service_account", "project_id": "p", "private_key_id": "0123456789abcdef", "private_key": &pem[start..],
        "client_email": "robot@p.iam.gserviceaccount.com", "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": rig_specs::manifest::GOOGLE_TOKEN_URL,
        "universe_domain": "googleapis.com"
    })
}
