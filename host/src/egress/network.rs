//! Which addresses are on the public internet. Pure: an address in, a verdict out.
//!
//! A public name may resolve to an address inside the company or on this machine, and several forms of IPv6 address carry an IPv4
//! address inside, which a gateway or the kernel unwraps again. Both are looked through here.
//! Sources: the IANA special-purpose address registries (RFC 6890 and its updates), RFC 6052, 8215 (NAT64), 3056 (6to4), 4380
//! (Teredo), 5214 (ISATAP).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is, when it is not a public one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Unspecified,
    Loopback,
    Private,
    LinkLocal,
    SharedCarrier,
    Metadata,
    Multicast,
    Broadcast,
    Documentation,
    Benchmarking,
    Translated,
    Reserved,
}

impl Special {
    /// For messages, after "a" or "an".
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "an unspecified",
            Self::Loopback => "a loopback",
            Self::Private => "a private",
            Self::LinkLocal => "a link-local",
            Self::SharedCarrier => "a carrier-internal",
            Self::Metadata => "a cloud-internal",
            Self::Multicast => "a multicast",
            Self::Broadcast => "a broadcast",
            Self::Documentation => "a documentation",
            Self::Benchmarking => "a benchmarking",
            Self::Translated => "a locally translated",
            Self::Reserved => "a reserved",
        }
    }

    /// Whether a host can sit there at all, so that `allow_private` may open it. The unspecified address reaches this machine on
    /// Linux, which nobody means who names a host.
    const fn can_be_allowed(self) -> bool {
        !matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast)
    }
}

/// Whether a connection to the address is refused, and as what. `allowed` when `allow_private` names the host.
pub(super) fn refused(address: IpAddr, allowed: bool) -> Option<Special> {
    special(address).filter(|special| !(allowed && special.can_be_allowed()))
}

/// What the address is, when it is not global unicast.
pub(super) fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    let [a, b, c, d] = address.octets();
    Some(match (a, b, c, d) {
        (0, ..) => Special::Unspecified,
        (127, ..) => Special::Loopback,
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => Special::Private,
        (169, 254, ..) => Special::LinkLocal,
        (100, 64..=127, ..) => Special::SharedCarrier,
        // Azure's platform service: a public address that only the machine's own cloud answers.
        (168, 63, 129, 16) => Special::Metadata,
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => Special::Documentation,
        (198, 18..=19, ..) => Special::Benchmarking,
        (224..=239, ..) => Special::Multicast,
        (255, 255, 255, 255) => Special::Broadcast,
        // Protocol assignments; the retired 6to4 relay; class E.
        (192, 0, 0, _) | (192, 88, 99, _) | (240..=255, ..) => Special::Reserved,
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    let segments = address.segments();
    let carried = |high: u16, low: u16| special_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    // ISATAP under any prefix: a public address inside does not make the prefix public.
    if let [.., 0 | 0x200, 0x5efe, high, low] = segments
        && let Some(special) = carried(high, low)
    {
        return Some(special);
    }
    Some(match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Special::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Special::Loopback,
        // Mapped and compatible; IPv4-translated (SIIT); NAT64's well-known prefix; 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => return carried(high, low),
        // Teredo: the server's address, and the client's with its bits turned.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            return carried(server_high, server_low).or_else(|| carried(!high, !low));
        }
        // Where in it the IPv4 address stands is the operator's choice (RFC 8215), so nothing in it can be told to be public.
        [0x64, 0xff9b, 1, ..] => Special::Translated,
        [0xfe80..=0xfebf, ..] => Special::LinkLocal,
        // Site-local, retired, and unique local.
        [0xfec0..=0xfeff | 0xfc00..=0xfdff, ..] => Special::Private,
        [0xff00..=0xffff, ..] => Special::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Special::Documentation,
        [0x2001, 2, 0, ..] => Special::Benchmarking,
        // Protocol assignments: ORCHID, port control and others, none of them a host on the internet.
        [0x2001, 0..=0x1ff, ..] => Special::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => Special::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        use Special as S;
        for (address, expected) in [
            ("1.1.1.1", None),
            ("8.8.8.8", None),
            ("93.184.216.34", None),
            ("9.255.255.255", None),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("126.255.255.255", None),
            ("128.0.0.1", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("192.167.1.1", None),
            ("198.17.0.1", None),
            ("198.20.0.1", None),
            ("223.255.255.255", None),
            ("0.0.0.0", Some(S::Unspecified)),
            ("0.1.2.3", Some(S::Unspecified)),
            ("10.0.0.1", Some(S::Private)),
            ("172.16.0.1", Some(S::Private)),
            ("172.31.255.255", Some(S::Private)),
            ("192.168.1.1", Some(S::Private)),
            ("127.0.0.1", Some(S::Loopback)),
            ("127.255.255.254", Some(S::Loopback)),
            ("169.254.169.254", Some(S::LinkLocal)),
            ("100.64.0.1", Some(S::SharedCarrier)),
            ("100.100.100.200", Some(S::SharedCarrier)),
            ("168.63.129.16", Some(S::Metadata)),
            ("192.0.0.8", Some(S::Reserved)),
            ("192.0.2.1", Some(S::Documentation)),
            ("198.51.100.1", Some(S::Documentation)),
            ("203.0.113.1", Some(S::Documentation)),
            ("192.88.99.1", Some(S::Reserved)),
            ("198.18.0.1", Some(S::Benchmarking)),
            ("198.19.255.255", Some(S::Benchmarking)),
            ("224.0.0.1", Some(S::Multicast)),
            ("239.255.255.255", Some(S::Multicast)),
            ("240.0.0.1", Some(S::Reserved)),
            ("255.255.255.255", Some(S::Broadcast)),
            ("2606:4700:4700::1111", None),
            ("2a00:1450:4001::1", None),
            ("2001:4860:4860::8888", None),
            ("2001:200::1", None),
            ("::", Some(S::Unspecified)),
            ("::1", Some(S::Loopback)),
            ("::2", Some(S::Unspecified)),
            ("::ffff:127.0.0.1", Some(S::Loopback)),
            ("::ffff:10.0.0.1", Some(S::Private)),
            ("::ffff:8.8.8.8", None),
            ("::127.0.0.1", Some(S::Loopback)),
            ("::169.254.169.254", Some(S::LinkLocal)),
            ("::ffff:0:10.0.0.1", Some(S::Private)),
            ("64:ff9b::7f00:1", Some(S::Loopback)),
            ("64:ff9b::10.1.2.3", Some(S::Private)),
            ("64:ff9b::8.8.8.8", None),
            ("64:ff9b:1::8.8.8.8", Some(S::Translated)),
            ("64:ff9b:1:a00:0:100::", Some(S::Translated)),
            ("64:ff9b:2::1", Some(S::Reserved)),
            ("2002:7f00:1::1", Some(S::Loopback)),
            ("2002:a9fe:a9fe::", Some(S::LinkLocal)),
            ("2002:c0a8:101::1", Some(S::Private)),
            ("2002:808:808::1", None),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Some(S::Documentation)),
            ("2001:0:4136:e378:8000:63bf:80ff:fffe", Some(S::Loopback)),
            ("2001:0:7f00:1:8000:63bf:f7f7:f7f7", Some(S::Loopback)),
            ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", None),
            ("2606:4700::5efe:10.0.0.1", Some(S::Private)),
            ("2606:4700::200:5efe:192.168.0.1", Some(S::Private)),
            ("2606:4700::5efe:8.8.8.8", None),
            ("fe80::5efe:8.8.8.8", Some(S::LinkLocal)),
            ("fe80::1", Some(S::LinkLocal)),
            ("febf::1", Some(S::LinkLocal)),
            ("fec0::1", Some(S::Private)),
            ("fc00::1", Some(S::Private)),
            ("fd00:ec2::254", Some(S::Private)),
            ("ff02::1", Some(S::Multicast)),
            ("2001:db8::1", Some(S::Documentation)),
            ("3fff::1", Some(S::Documentation)),
            ("3fff:1000::1", None),
            ("2001:2::1", Some(S::Benchmarking)),
            ("2001:10::1", Some(S::Reserved)),
            ("2001:20::1", Some(S::Reserved)),
            ("100::1", Some(S::Reserved)),
            ("5f00::1", Some(S::Reserved)),
            ("4000::1", Some(S::Reserved)),
            ("1fff::1", Some(S::Reserved)),
        ] {
            assert_eq!(special(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_named_host_may_be_private_but_not_nonsense() {
        for (address, open) in [
            ("127.0.0.1", true),
            ("10.0.0.1", true),
            ("169.254.169.254", true),
            ("fd00::1", true),
            ("64:ff9b:1::8.8.8.8", true),
            ("0.0.0.0", false),
            ("::", false),
            ("::ffff:0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(refused(address, true).is_none(), open, "{address}");
            assert!(refused(address, false).is_some(), "{address}");
        }
    }
}
