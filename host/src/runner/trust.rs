//! Which certificate authorities the programs of packs trust. They speak TLS themselves and go by files; where the project trusts
//! authorities of its own, they are told of a file that has the machine's and the project's.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use rig_specs::Sha256;

use crate::{egress::Gate, home};

/// Where the machine's authorities are in one file, on the distributions there are.
const MACHINE: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Names of that file, for OpenSSL and Python's `ssl`, for requests, for curl, and for Node, which has authorities of its own besides.
const VARIABLES: [&str; 4] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];

/// A part of an environment.
type Variables = Vec<(OsString, OsString)>;

/// What the environment of a program says of that, and the file that it names. Nothing where the project has no authorities of its own.
///
/// # Errors
/// When a file cannot be read, or the new one not be written in `folder`.
pub(super) fn variables(gate: &Gate, folder: &Path) -> io::Result<(Variables, Option<PathBuf>)> {
    if gate.extra_ca().is_empty() {
        return Ok((Vec::new(), None));
    }
    let mut bundle = MACHINE.iter().find_map(|path| fs::read(path).ok()).unwrap_or_default();
    for path in gate.extra_ca() {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        bundle.push(b'\n');
        bundle.extend(fs::read(path).map_err(named)?);
    }
    let path = home::keep(folder, &format!("authorities-{}.pem", &Sha256::of(&bundle).hex()[..32]), &bundle)?;
    let variables = VARIABLES.iter().map(|name| (name.into(), path.clone().into()));
    Ok((variables.collect(), Some(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Settings;

    #[test]
    fn authorities_of_the_project_come_to_those_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own.pem");
        fs::write(&own, "own").unwrap();
        let gate = |extra_ca: Vec<PathBuf>| Gate::new(&Settings { extra_ca, ..Settings::default() }).unwrap();
        assert_eq!(variables(&gate(Vec::new()), folder.path()).unwrap(), (Vec::new(), None));

        let (said, file) = variables(&gate(vec![own.clone()]), folder.path()).unwrap();
        let file = file.unwrap();
        assert!(said.iter().any(|(name, value)| name == "SSL_CERT_FILE" && value == file.as_os_str()));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.ends_with("\nown"), "{text}");
        let machine = MACHINE.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        assert!(text.starts_with(&machine));

        fs::remove_file(&own).unwrap();
        let error = variables(&gate(vec![own.clone()]), folder.path()).unwrap_err();
        assert!(error.to_string().starts_with(&own.display().to_string()), "{error}");
    }
}
