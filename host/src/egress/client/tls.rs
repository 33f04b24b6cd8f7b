//! TLS: the public certificate authorities that come with rig, and those that the project adds.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::super::Error;

/// The same on every machine: the system's store is not asked, so that what a project trusts stands in its `rig.yaml`.
pub(super) fn config(extra_ca: &[PathBuf]) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for path in extra_ca {
        let refuse = |why: String| Error::ExtraCa { path: path.clone(), why };
        // Read apart from parsing, so that a missing file is told from one that is no PEM.
        let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| refuse(format!("the file is not PEM: {error}")))?;
            roots.add(certificate).map_err(|error| refuse(format!("a certificate cannot be read: {error}")))?;
            found = true;
        }
        if !found {
            return Err(refuse("the file holds no certificate".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Client(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
