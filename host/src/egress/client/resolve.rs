//! Names to addresses, with every answer checked before anything connects. The HTTP library connects to what comes from here and to
//! nothing else, so a second, different answer of the name server (DNS rebinding) is never seen.

use std::{fmt, io, net::IpAddr, net::SocketAddr, pin::Pin, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::super::{
    allow::pattern::HostPattern,
    network::{self, Special},
};

type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How a name is looked up.
#[derive(Clone)]
pub(in crate::egress) struct Lookup(Arc<dyn Fn(String) -> Looking + Send + Sync>);

impl Lookup {
    /// As the operating system does it.
    pub(super) fn system() -> Self {
        Self(Arc::new(|name| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        }))
    }

    /// Answers from a function, for tests.
    #[cfg(test)]
    pub(in crate::egress) fn with(answer: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |name| {
            let answer = answer(&name);
            Box::pin(async move { Ok(answer) })
        }))
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// Which addresses a name may have.
#[derive(Debug, Clone)]
pub(super) enum Names {
    /// Public ones, but for hosts that the project named.
    Public { except: Arc<[HostPattern]> },
    /// Any.
    Any,
}

#[derive(Debug, Clone)]
pub(super) struct Resolver {
    pub lookup: Lookup,
    pub names: Names,
    /// With a proxy, its name is the only one looked up here; the proxy looks up the others.
    pub proxy_host: Option<String>,
}

/// Why a name has no usable address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unresolved(String);

impl Resolver {
    pub(super) async fn addresses(self, name: String) -> Result<Vec<IpAddr>, Unresolved> {
        let is_proxy = self.proxy_host.as_ref() == Some(&name);
        if self.proxy_host.is_some() && !is_proxy && !is_local_name(&name) {
            return Err(Unresolved(format!("{name} is not looked up: the proxy does that")));
        }
        let found = (self.lookup.0)(name.clone()).await;
        let addresses = found.map_err(|error| Unresolved(format!("{name} cannot be resolved: {error}")))?;
        if addresses.is_empty() {
            return Err(Unresolved(format!("{name} has no address")));
        }
        // One bad address among good ones refuses them all: which one is used would be chance.
        for address in &addresses {
            if is_local_name(&name) && !address.is_loopback() {
                return Err(Unresolved(format!("{name} is not this machine here")));
            }
            if let Names::Public { except } = &self.names
                && !is_proxy
                && let Some(special) = network::refused(*address, except.iter().any(|host| host.matches(&name)))
            {
                return Err(Unresolved(not_public(&name, special)));
            }
        }
        Ok(addresses)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        let name = name.as_str().to_ascii_lowercase();
        Box::pin(async move {
            let addresses = resolver.addresses(name).await?;
            // Port 0 stands for the port of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// `localhost` and names below it mean this machine, whatever a name server says (RFC 6761).
pub(super) fn is_local_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Says what was refused without the address, which a guest has no business to learn.
pub(super) fn not_public(host: &str, special: Special) -> String {
    format!(
        "{host} is at {} address, which packs do not reach; if it is meant, name the host in network.allow_private of rig.yaml",
        special.as_str()
    )
}
