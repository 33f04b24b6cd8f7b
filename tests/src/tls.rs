//! A certificate authority that lives as long as one test, and certificates for any host made on the fly.

use std::{collections::BTreeMap, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// What is wrong with the certificate of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is for another name.
    WrongName,
    /// It was good some years ago.
    Expired,
    /// Nobody the client knows signed it.
    UnknownIssuer,
}

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    made: BTreeMap<(String, Option<&'static str>), TlsAcceptor>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names to check");
        params.distinguished_name.push(DnType::CommonName, "rig test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem, made: BTreeMap::new() }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// An acceptor that shows a certificate for the host. Made once a host and flaw.
    pub(crate) fn acceptor(&mut self, host: &str, flaw: Option<Flaw>) -> TlsAcceptor {
        let key = (host.to_owned(), flaw.map(Flaw::name));
        if let Some(acceptor) = self.made.get(&key) {
            return acceptor.clone();
        }
        let acceptor = match flaw {
            Some(Flaw::UnknownIssuer) => Self::new().make(host, None),
            flaw => self.make(host, flaw),
        };
        self.made.insert(key, acceptor.clone());
        acceptor
    }

    fn make(&self, host: &str, flaw: Option<Flaw>) -> TlsAcceptor {
        let name = if flaw == Some(Flaw::WrongName) { "other.test" } else { host };
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name for a certificate");
        if flaw == Some(Flaw::Expired) {
            (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
        }
        let key = KeyPair::generate().expect("a key");
        let certificate: CertificateDer<'static> =
            params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key that was just made");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions of the provider")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate that fits its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Flaw {
    const fn name(self) -> &'static str {
        match self {
            Self::WrongName => "wrong name",
            Self::Expired => "expired",
            Self::UnknownIssuer => "unknown issuer",
        }
    }
}
