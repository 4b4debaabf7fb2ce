//! Owns the additional lines of a container's hosts file. Must not know the other lines.

use std::net::IpAddr;

use super::error::SandboxError;

/// The word for the address of the machine.
const GATEWAY: &str = "host-gateway";

/// Turns `HOST:ADDRESS` into lines.
pub(super) fn lines(added: &[String], network: Option<&str>) -> Result<Vec<String>, SandboxError> {
    added.iter().map(|text| line(text, network.is_some())).collect()
}

fn line(text: &str, has_network: bool) -> Result<String, SandboxError> {
    let refused = |reason: &str| SandboxError::Other {
        action: format!("add `{text}` to the hosts file"),
        reason: reason.to_owned(),
    };
    let (host, address) = text.split_once(':').ok_or_else(|| refused("it is not HOST:ADDRESS"))?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(refused("the host is missing"));
    }
    let address = match address {
        // On the host's network, loopback is the host.
        GATEWAY if has_network => "127.0.0.1",
        GATEWAY => return Err(refused("the gateway needs a network")),
        address => address.trim_start_matches('[').trim_end_matches(']'),
    };
    let address: IpAddr = address.parse().map_err(|_| refused("its address is not valid"))?;
    Ok(format!("{address}\t{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_become_lines() {
        let lines =
            |text: &str, network| lines(&[text.to_owned()], network).map_err(|error| error.to_string());
        assert_eq!(lines("db:10.0.0.1", None), Ok(vec!["10.0.0.1\tdb".into()]));
        assert_eq!(lines("db:::1", None), Ok(vec!["::1\tdb".into()]));
        assert_eq!(lines("db:[fe80::2]", None), Ok(vec!["fe80::2\tdb".into()]));
        assert_eq!(lines("me:host-gateway", Some("host")), Ok(vec!["127.0.0.1\tme".into()]));
        for (text, reason) in [
            ("me:host-gateway", "gateway needs a network"),
            ("db", "not HOST:ADDRESS"),
            (":1.2.3.4", "host is missing"),
            ("a\nb:1.2.3.4", "host is missing"),
            ("db:1.2.3.4\n5.6.7.8\tother", "address is not valid"),
        ] {
            let error = lines(text, None).expect_err("refused");
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
