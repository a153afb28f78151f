//! Newtypes for names, addresses and URLs. A value exists only if its text is well-formed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::bad_value::BadValue;
use super::numbers::Address;
use super::{API_PORT, ETCD_PORT};

/// Declares a string newtype with a checking constructor.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadValue;

            fn from_str(text: &str) -> Result<Self, BadValue> {
                let check: fn(&str) -> Result<(), BadValue> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Name of the cluster: a DNS label of at most 40 characters, since file and package names begin with it.
    ClusterName, |text| label(text, 40)
}
name! {
    /// Host name of a machine: a DNS label (RFC 1123) of at most 63 characters, by which it can be named alone.
    NodeName, node_name
}
name! {
    /// A role of machines: a DNS label of at most 40 characters. It names a directory of the recipe.
    RoleName, |text| label(text, 40)
}
name! {
    /// A DNS name (RFC 1123): labels joined by dots, at most 253 characters.
    DnsName, dns_name
}

fn label(text: &str, longest: usize) -> Result<(), BadValue> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: char| c != '-';
    if text.is_empty() || text.len() > longest {
        return Err(BadValue::new(format!("expected 1 to {longest} characters, got {}", text.len())));
    }
    if !text.chars().all(inner) || !text.starts_with(ends) || !text.ends_with(ends) {
        let why = "expected lower-case letters, digits, and hyphens that are neither first nor last";
        let better = text.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
        let better = better.trim_matches('-');
        let refusal = BadValue::new(why);
        return Err(if !better.is_empty() && better.chars().all(inner) {
            refusal.help(format!("write `{better}`"))
        } else {
            refusal
        });
    }
    Ok(())
}

fn node_name(text: &str) -> Result<(), BadValue> {
    label(text, 63)?;
    if text.chars().all(|c| c.is_ascii_digit()) {
        let why = "digits alone are no DNS name, which certificates are issued for";
        return Err(BadValue::new(why).help(format!("write `node-{text}`")));
    }
    if text == "localhost" {
        return Err(
            BadValue::new("each machine calls itself so").help("write the machine's host name, such as `node-1`")
        );
    }
    Ok(())
}

fn dns_name(text: &str) -> Result<(), BadValue> {
    if text.len() > 253 {
        return Err(BadValue::new(format!("expected at most 253 characters, got {}", text.len())));
    }
    // `192.0.2.790` is a mistyped address, not a host: no top-level domain is a number (RFC 3696).
    if text.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit())) {
        return Err(text
            .parse::<Address>()
            .err()
            .unwrap_or_else(|| BadValue::new("expected a DNS name, got an IP address")));
    }
    text.split('.')
        .try_for_each(|part| label(part, 63))
        .map_err(|bad| BadValue::new(format!("expected a DNS name, but one of its labels is invalid: {bad}")))
}

impl<'de> serde::Deserialize<'de> for RoleName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An IP address or a DNS name: what a certificate is issued for and a client connects to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    Ip(IpAddr),
    Name(DnsName),
}

impl FromStr for Host {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse().map(Self::Ip).or_else(|_| text.parse().map(Self::Name))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `https://HOST:PORT`, without a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub host: Host,
    /// TCP port, 1 to 65535.
    pub port: u16,
}

impl FromStr for Endpoint {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let refuse = |why: &str| {
            let refusal = BadValue::new(why);
            match Self::guess(text) {
                Some(guess) => refusal.help(format!("write `{guess}`")),
                None => refusal.help("for example `https://192.0.2.11:6443`"),
            }
        };
        let rest = text.strip_prefix("https://").ok_or_else(|| match text.split_once("://") {
            Some((scheme, _)) => refuse(&format!("expected `https://HOST:PORT`, got `{scheme}://`")),
            None => refuse("expected `https://HOST:PORT`; `https://` is missing"),
        })?;
        if rest.contains('/') {
            return Err(refuse("expected `https://HOST:PORT` without a path"));
        }
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| {
            BadValue::new("expected `https://HOST:PORT`; the port is missing").help(format!(
                "write `https://{rest}:PORT`: {API_PORT} is the port of an API server, {ETCD_PORT} that of etcd"
            ))
        })?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| refuse("expected `https://HOST:PORT` with a port of 1 to 65535"))?;
        let host = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(address) => {
                let address = address.parse().map_err(|_| refuse("expected an IPv6 address in brackets"))?;
                Host::Ip(IpAddr::V6(address))
            }
            None => host.parse()?,
        };
        Ok(Self { host, port })
    }
}

impl Endpoint {
    /// What was probably meant by a text with another scheme or none, or with a path.
    fn guess(text: &str) -> Option<Self> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let rest = rest.split('/').next()?;
        let guess = format!("https://{rest}");
        // An end of the recursion: the text of a guess is its own guess.
        if guess == text { None } else { guess.parse().ok() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => write!(f, "https://[{address}]:{}", self.port),
            host => write!(f, "https://{host}:{}", self.port),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_file_or_a_package_are_refused() {
        for wrong in ["", "-a", "a-", "A", "a.b", "a_b", "a b", "a/b", &"a".repeat(41)] {
            assert!(wrong.parse::<ClusterName>().is_err(), "{wrong:?}");
        }
        assert!("roc".parse::<ClusterName>().is_ok());
    }

    #[test]
    fn a_mistyped_address_is_no_host_name() {
        assert!("192.0.2.790".parse::<Host>().is_err());
        assert_eq!("192.0.2.79".parse(), Ok(Host::Ip([192, 0, 2, 79].into())));
        assert!("k8s.example.com".parse::<Host>().is_ok());
    }

    #[test]
    fn endpoints_read_back() {
        for text in ["https://192.0.2.79:6443", "https://k8s.example.com:443", "https://[fd00::1]:6443"] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["http://a:1", "https://a", "https://a:0", "https://a:6443/", "https://a:65536", "a:1"] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong:?}");
        }
    }
}
