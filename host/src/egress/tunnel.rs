//! Connections that rig passes through without reading them, for programs that speak TLS themselves: the grant is checked by host and
//! port, and the addresses as for every request. No secret is added here, and none taken out.

use super::{Gate, HttpError, Reach, allow::url::Target};

pub use super::client::Passage;

/// What went to one host and came from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The host, without the port.
    pub host: String,
    /// Connections that were opened.
    pub connections: u64,
    /// Connections that were not, because they are not granted or nobody answered.
    pub refused: u64,
    /// Bytes sent, TLS included.
    pub bytes_sent: u64,
    /// Bytes received, TLS included.
    pub bytes_received: u64,
}

impl Gate {
    /// Opens a connection to `host:port`, if it is granted.
    ///
    /// # Errors
    /// [`HttpError::InvalidRequest`] when that is no host and port, [`HttpError::Denied`] when it is not granted or at an address that is
    /// not public, else why there is no connection.
    pub async fn tunnel(&self, reach: &Reach, authority: &str) -> Result<Passage, HttpError> {
        let refuse = |why: &dyn std::fmt::Display| HttpError::InvalidRequest(format!("not a host and a port: {why}"));
        if authority.contains(['/', '?', '#']) {
            return Err(refuse(&"it is longer than that"));
        }
        let target = Target::parse(&format!("https://{authority}/")).map_err(|problem| refuse(&problem))?;
        reach.rules.permit_tunnel(&target).map_err(HttpError::Denied)?;
        self.refuse_offline()?;
        self.check_address(&target)?;
        self.dial(&target).await
    }
}
