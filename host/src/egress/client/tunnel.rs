//! A connection of its own: to the target, or through the project's proxy to it.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, header::PROXY_AUTHORIZATION};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    super::{HttpError, limits},
    Gate, Names, Resolver, Target, is_local, literal, tls,
};

/// Both directions of a connection.
pub trait Both: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Both for T {}

/// A connection that is open.
pub type Passage = Pin<Box<dyn Both>>;

impl Gate {
    /// Connects to a target that has passed every check on its text.
    pub(in crate::egress) async fn dial(&self, target: &Target) -> Result<Passage, HttpError> {
        match &self.proxy {
            Some(proxy) if !is_local(target.host()) => {
                let (host, port) = (proxy.host_str().unwrap_or_default(), proxy.port_or_known_default().unwrap_or(0));
                let stream = self.connect(host, port, Names::Any).await?;
                let through = timeout(limits::CONNECT_TIME, self.through(proxy, stream, target)).await;
                through.map_err(|_| HttpError::Timeout(format!("the proxy {host}:{port} does not answer")))?
            }
            _ => {
                let names = Names::Public { except: Arc::clone(&self.allow_private) };
                let stream = self.connect(target.host(), target.port(), names).await?;
                self.check_peer(target, stream.peer_addr().ok())?;
                Ok(Box::pin(stream))
            }
        }
    }

    async fn connect(&self, host: &str, port: u16, names: Names) -> Result<TcpStream, HttpError> {
        let addresses = match literal(host) {
            Some(address) => vec![address],
            // The name of the proxy is looked up here, like that of any target without one.
            None => Resolver { lookup: self.lookup.clone(), names, proxy_host: None }
                .addresses(host.to_ascii_lowercase())
                .await
                .map_err(|error| HttpError::Dns(error.to_string()))?,
        };
        let mut last = HttpError::Connect(format!("{host} has no address"));
        for address in addresses {
            match timeout(limits::CONNECT_TIME, TcpStream::connect(SocketAddr::new(address, port))).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => {
                    last = HttpError::Connect(format!("no connection to {host}:{port}: {}", error.kind()));
                }
                Err(_) => last = HttpError::Timeout(format!("{host}:{port} does not answer")),
            }
        }
        Err(last)
    }

    /// Asks the proxy for a connection to the target.
    async fn through(&self, proxy: &url::Url, stream: TcpStream, target: &Target) -> Result<Passage, HttpError> {
        let shown = self.proxy_shown().unwrap_or_default();
        let failed = |why: String| HttpError::Connect(format!("the proxy {shown}: {why}"));
        let stream: Passage = if proxy.scheme() == "https" {
            let config = tls::config(&self.extra_ca).map_err(|error| HttpError::Tls(error.to_string()))?;
            let name = proxy.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(name).map_err(|error| failed(error.to_string()))?;
            let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            Box::pin(connected.map_err(|error| HttpError::Tls(format!("the proxy {shown}: {error}")))?)
        } else {
            Box::pin(stream)
        };
        let authority = format!("{}:{}", target.host(), target.port());
        let mut request = Request::builder().method(Method::CONNECT).uri(&authority).header("host", &authority);
        if !proxy.username().is_empty() {
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let login = format!("{}:{}", plain(proxy.username()), plain(proxy.password().unwrap_or_default()));
            let login = base64::engine::general_purpose::STANDARD.encode(login);
            request = request.header(PROXY_AUTHORIZATION, format!("Basic {login}"));
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.to_string()))?;
        tokio::spawn(connection.with_upgrades());
        let answer = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(failed(format!("it answers {} to a connection to {authority}", answer.status())));
        }
        let through = hyper::upgrade::on(answer).await.map_err(|error| failed(error.to_string()))?;
        Ok(Box::pin(TokioIo::new(through)))
    }
}
