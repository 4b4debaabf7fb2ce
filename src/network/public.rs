//! Owns the distinction between public and other addresses, and the resolver that finds public ones only.
//! Must not send a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The setting of an embedder forbids an address.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the address {address} of `{host}` is not public, and only public addresses are allowed here")]
pub struct ForbiddenAddress {
    pub host: String,
    pub address: IpAddr,
}

/// Checks the address in `url`, if it has one instead of a name. [`PublicResolver`] checks names.
pub(super) fn check_literal(url: &Url) -> Result<(), ForbiddenAddress> {
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    check_public(url.host_str().unwrap_or_default(), address)
}

pub(crate) fn check_public(host: &str, address: IpAddr) -> Result<(), ForbiddenAddress> {
    if is_public(address) { Ok(()) } else { Err(ForbiddenAddress { host: host.to_owned(), address }) }
}

/// Resolves names as the system does, and fails if an address of the name is not public. The connection uses the checked
/// addresses, so a second answer of the name service cannot change them.
pub(crate) struct PublicResolver {
    /// The hosts of the configured proxies, which may be private.
    pub(crate) proxies: Vec<String>,
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !is_proxy {
                for address in &found {
                    check_public(name.as_str(), address.ip())?;
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether the address is in the public internet.
///
/// Source: the IANA registries of special-purpose addresses, RFC 6890 and its updates.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded(address) {
        return is_public_v4(inner);
    }
    let [first, second, third, ..] = address.segments();
    // Only 2000::/3 is assigned to the internet.
    let is_global = first & 0xe000 == 0x2000;
    let is_special = matches!(
        (first, second, third),
        // Protocol assignments with Teredo, documentation.
        (0x2001, 0..=0x1ff, _) | (0x2001, 0xdb8, _) | (0x3fff, 0..=0xfff, _)
    );
    is_global && !is_special
}

/// The IPv4 address that the kernel or a gateway connects to instead.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (a, b, c, d, e, f) {
        // Mapped addresses, NAT64, 6to4.
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(join(g, h)),
        (0x2002, ..) => Some(join(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public_in_any_disguise() {
        for public in
            ["1.1.1.1", "172.32.0.1", "100.63.0.1", "192.0.1.1", "2606:4700::1111", "64:ff9b::101:101"]
        {
            assert!(is_public(public.parse().expect(public)), "{public}");
        }
        for other in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "127.9.9.9",
            "100.100.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "100::1",
        ] {
            assert!(!is_public(other.parse().expect(other)), "{other}");
        }
    }

    #[test]
    fn literals_are_checked_in_every_notation() {
        let check = |text: &str| check_literal(&Url::parse(text).expect("valid"));
        for text in ["http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/", "http://[::ffff:7f00:1]/"] {
            assert!(check(text).is_err(), "{text}");
        }
        assert_eq!(check("https://1.1.1.1/"), Ok(()));
        assert_eq!(check("https://example.com/"), Ok(()), "the resolver checks names");
    }

    #[tokio::test]
    async fn names_are_checked_after_their_resolution() {
        let resolve = async |proxies: Vec<String>| {
            let resolver = PublicResolver { proxies };
            resolver.resolve("localhost".parse().expect("a name")).await.map(|found| found.count())
        };
        let error = resolve(Vec::new()).await.expect_err("loopback");
        assert!(error.is::<ForbiddenAddress>(), "{error}");
        assert!(resolve(vec!["LOCALHOST".to_owned()]).await.is_ok_and(|count| count > 0));
    }
}
