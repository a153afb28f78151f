//! Addresses and networks as a user writes them: their parsers say what is wrong, and what to write instead.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, ipv4_mask_to_prefix};

use super::bad_value::BadValue;

/// An IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub IpAddr);

/// A network with its prefix length. Bits behind the prefix may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr(pub IpNet);

impl FromStr for Address {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse().map(Self).map_err(|_| wrong_address(text))
    }
}

impl FromStr for Cidr {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        // `ipnet` reads `010` as 10, the C library as 8: so the address has to be one by itself.
        let has_address = text.split('/').next().is_some_and(|base| base.parse::<IpAddr>().is_ok());
        text.parse().ok().filter(|_| has_address).map(Self).ok_or_else(|| wrong_network(text))
    }
}

/// Why `text` is no address, by the mistakes that are made most.
fn wrong_address(text: &str) -> BadValue {
    let alone = |rest: &str, why: &str| {
        let bad = BadValue::new(why);
        match rest.parse::<IpAddr>() {
            Ok(address) => bad.help(format!("write `{address}`")),
            Err(_) => bad.help("write the address alone, such as `192.0.2.11`"),
        }
    };
    if text.is_empty() {
        return BadValue::new("expected an IP address, got an empty text").help("for example `192.0.2.11`");
    }
    if text.trim() != text {
        return alone(text.trim(), "expected an IP address without spaces around it");
    }
    if let Some((_, rest)) = text.split_once("://") {
        return alone(rest.split([':', '/']).next().unwrap_or_default(), "expected an IP address, got a URL");
    }
    if let Some((address, _)) = text.split_once('/') {
        return alone(address, "expected an IP address alone, got one with a prefix length");
    }
    if let Some((address, _)) = text.split_once(':').filter(|(address, _)| address.contains('.')) {
        return alone(address, "expected an IP address alone, got one with a port");
    }
    if text.contains(':') {
        return BadValue::new("expected an IP address");
    }
    if !text.chars().all(|character| character.is_ascii_digit() || character == '.') {
        let why = "expected an IP address; names are not looked up";
        return BadValue::new(why).help("write the address of the machine, such as `192.0.2.11`");
    }
    wrong_parts(text)
}

/// Why `text`, which consists of digits and dots, is no IPv4 address.
fn wrong_parts(text: &str) -> BadValue {
    let parts: Vec<_> = text.split('.').collect();
    let numbers: Option<Vec<u32>> = parts.iter().map(|part| part.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() == 4) else {
        let count = parts.iter().filter(|part| !part.is_empty()).count();
        return BadValue::new(format!("expected an IPv4 address of four numbers, got {count}"))
            .help("for example `192.0.2.11`");
    };
    if let Some(large) = numbers.iter().find(|number| **number > 255) {
        return BadValue::new(format!("expected an IPv4 address, whose numbers are at most 255, got {large}"));
    }
    let better: Vec<_> = numbers.iter().map(u32::to_string).collect();
    BadValue::new("expected an IPv4 address without leading zeros, which some programs read as octal")
        .help(format!("write `{}`", better.join(".")))
}

/// Why `text` is no network.
fn wrong_network(text: &str) -> BadValue {
    let Some((base, prefix)) = text.split_once('/') else {
        return match text.parse::<IpAddr>() {
            Ok(address) => BadValue::new("expected a network with its prefix length, got an address")
                .help(format!("write {}", likely(address))),
            Err(_) => wrong_address(text).help("a network is written `10.10.0.0/16`"),
        };
    };
    let Ok(address) = base.parse::<IpAddr>() else { return wrong_address(base) };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    if let Some(prefix) = prefix.parse().ok().and_then(|mask| ipv4_mask_to_prefix(mask).ok()) {
        return BadValue::new("expected a prefix length, got a netmask").help(format!("write `{address}/{prefix}`"));
    }
    let why = match prefix.parse::<u32>() {
        Ok(large) => format!("expected a prefix length of at most {longest}, got {large}"),
        Err(_) => format!("expected a prefix length of 0 to {longest} behind `/`"),
    };
    BadValue::new(why).help(format!("for example {}", likely(address)))
}

/// A network that begins with this address, as its zeros at the end let one guess.
fn likely(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return format!("`{address}/64`") };
    let zeros = u32::from(address).trailing_zeros();
    let prefix = match zeros {
        8..16 => 24,
        16..24 => 16,
        24..32 => 8,
        _ => return "`10.10.0.0/16`".to_owned(),
    };
    let base: Ipv4Addr = address;
    format!("`{base}/{prefix}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> String {
        let bad = text.parse::<Address>().expect_err(text);
        format!("{bad} | {}", bad.way_out().unwrap_or_default())
    }

    fn network(text: &str) -> String {
        let bad = text.parse::<Cidr>().expect_err(text);
        format!("{bad} | {}", bad.way_out().unwrap_or_default())
    }

    #[test]
    fn whoever_mistypes_an_address_reads_what_to_write() {
        assert!(address("192.0.2.1/24").ends_with("prefix length | write `192.0.2.1`"));
        assert!(address("192.0.2.1:22").ends_with("with a port | write `192.0.2.1`"));
        assert!(address(" 192.0.2.1").ends_with("| write `192.0.2.1`"));
        assert!(address("https://192.0.2.1:6443").ends_with("got a URL | write `192.0.2.1`"));
        assert!(address("192.0.02.1").ends_with("| write `192.0.2.1`"));
        assert!(address("192.0.2.300").contains("at most 255, got 300"));
        assert!(address("192.0.2.").contains("four numbers, got 3"));
        assert!(address("master-1").contains("names are not looked up"));
    }

    #[test]
    fn whoever_mistypes_a_network_reads_what_to_write() {
        assert!(network("10.10.0.0/33").starts_with("expected a prefix length of at most 32, got 33"));
        assert!(network("10.10.0.0").ends_with("| write `10.10.0.0/16`"));
        assert!(network("10.10.0.0/255.255.0.0").ends_with("| write `10.10.0.0/16`"));
        assert!(network("10.10.0.0/").contains("0 to 32"));
        assert!(network("10.010.0.0/16").contains("leading zeros"));
        assert!(network("fd00::/129").contains("at most 128"));
    }
}
