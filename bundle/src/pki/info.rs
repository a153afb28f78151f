//! What a certificate says, read back from its bytes.

use std::net::IpAddr;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_NIST_EC_P521, OID_SIG_ECDSA_WITH_SHA512};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::private_key::Key;
use crate::hash::Sha256;
use crate::recipe::layout::Usage;

/// The fields we decide by, and show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateInfo {
    /// Subject, as `C=CN, O=system:masters, CN=admin`.
    pub subject: String,
    /// CN of the issuer.
    pub issuer_name: String,
    /// Subject alternative names in their order.
    pub names: Vec<String>,
    /// Extended key usages, sorted.
    pub usages: Vec<Usage>,
    /// First moment of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Last moment of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Whether it may sign certificates.
    pub is_ca: bool,
    /// Digest of the public key (`SubjectPublicKeyInfo`, DER).
    pub public_key: Sha256,
    /// Digest of the certificate (DER).
    pub sha256: Sha256,
    #[serde(skip)]
    public_bits: Vec<u8>,
    #[serde(skip)]
    der: Vec<u8>,
}

/// A day for people: `2027-11-23`.
pub fn day(time: OffsetDateTime) -> String {
    time.date().to_string()
}

/// A moment as RFC 3339 has it: `2027-11-23T22:13:20Z`. It has no years beyond 9999; nor do certificates.
pub fn moment(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| day(time))
}

impl CertificateInfo {
    /// Reads the first certificate of a PEM text.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, String> {
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| "it is no PEM certificate".to_owned())?;
        Self::from_der(&pem.contents)
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "it is no X.509 certificate".to_owned())?;
        let validity = certificate.validity();
        let signs = certificate.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
        let issuer_name = certificate.issuer().iter_common_name().next().and_then(|name| name.as_str().ok());
        Ok(Self {
            subject: certificate.subject().to_string(),
            issuer_name: issuer_name.unwrap_or_default().to_owned(),
            names: names(&certificate),
            usages: usages(&certificate),
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            is_ca: certificate.is_ca() && signs,
            public_key: Sha256::of(certificate.public_key().raw),
            sha256: Sha256::of(der),
            public_bits: certificate.public_key().subject_public_key.data.to_vec(),
            der: der.to_vec(),
        })
    }

    /// Why it is not valid at `now`; `None` if it is.
    pub(super) fn validity_error(&self, now: OffsetDateTime) -> Option<String> {
        if self.not_after <= now {
            Some(format!("it expired on {}", day(self.not_after)))
        } else if self.not_before > now {
            Some(format!("it is not valid before {}", day(self.not_before)))
        } else {
            None
        }
    }

    /// Whether `key` is the private half of this certificate's key.
    pub(super) fn belongs_to(&self, key: &Key) -> bool {
        self.public_bits == key.public_bits()
    }

    /// Whether `authority` signed this, by name and by signature.
    pub(super) fn is_signed_by(&self, authority: &Self) -> bool {
        let (own, ca) = (X509Certificate::from_der(&self.der), X509Certificate::from_der(&authority.der));
        let (Ok((_, own)), Ok((_, ca))) = (own, ca) else { return false };
        own.issuer().as_raw() == ca.subject().as_raw() && own.verify_signature(Some(ca.public_key())).is_ok()
    }

    /// Whether its own key signed it, as a root is. A changed bit anywhere makes this false.
    pub(super) fn has_own_signature(&self) -> bool {
        let Ok((rest, own)) = X509Certificate::from_der(&self.der) else { return false };
        rest.is_empty()
            && own.issuer().as_raw() == own.subject().as_raw()
            && is_framed_well(&self.der, &own)
            && own.verify_signature(None).is_ok()
    }

    /// Whether this was made elsewhere as a root, and is not what its key signed. An intermediate's signature can't be
    /// checked without its root.
    pub(super) fn is_damaged_root(&self) -> bool {
        if self.has_own_signature() {
            return false;
        }
        let Ok((_, own)) = X509Certificate::from_der(&self.der) else { return true };
        // A root names itself as its issuer, by name and by key; one changed bit leaves one of the two.
        let root = own.issuer().as_raw() == own.subject().as_raw() || (self.is_ca && is_its_own_issuer(&own));
        !is_framed_well(&self.der, &own) || (root && !is_beyond_us(&own))
    }
}

/// Whether what lies around the signed part is as it should be: no signature covers it, and the parser takes other tags
/// than RFC 5280 has.
fn is_framed_well(der: &[u8], certificate: &X509Certificate<'_>) -> bool {
    let signed = certificate.tbs_certificate.as_ref();
    let header = match der.get(1) {
        Some(length @ 0x80..) => 2 + usize::from(length & 0x7f),
        _ => 2,
    };
    let behind = der.get(header + signed.len()..).unwrap_or_default();
    let length = 2 + usize::from(behind.get(1).copied().unwrap_or_default());
    let Some((algorithm, signature)) = behind.split_at_checked(length) else { return false };
    let (sequence, bit_string) = (Some(&0x30), Some(&0x03));
    // RFC 5280, 4.1.1.2: the same algorithm stands in the signed part.
    der.first() == sequence
        && signature.first() == bit_string
        && certificate.signature_value.unused_bits == 0
        && signed.windows(algorithm.len()).any(|part| part == algorithm)
}

/// Whether Go 1.12 verifies such a signature, and the library used here does not.
fn is_beyond_us(certificate: &X509Certificate<'_>) -> bool {
    let curve = certificate.public_key().algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    curve.is_some_and(|curve| curve == OID_NIST_EC_P521)
        || certificate.signature_algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA512
}

/// Whether authority and subject key identifier are the same.
fn is_its_own_issuer(certificate: &X509Certificate<'_>) -> bool {
    let (mut authority, mut subject) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(identifier) => authority = identifier.key_identifier.as_ref(),
            ParsedExtension::SubjectKeyIdentifier(identifier) => subject = Some(identifier),
            _ => {}
        }
    }
    authority.is_none() || authority == subject
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(octets), _) => IpAddr::from(octets).to_string(),
            (_, Ok(octets)) => IpAddr::from(octets).to_string(),
            _ => format!("{bytes:02x?}"),
        },
        other => other.to_string(),
    };
    names.value.general_names.iter().map(name).collect()
}

fn usages(certificate: &X509Certificate<'_>) -> Vec<Usage> {
    let mut usages = Vec::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::ExtendedKeyUsage(usage) = extension.parsed_extension() {
            usages.extend(usage.server_auth.then_some(Usage::Server));
            usages.extend(usage.client_auth.then_some(Usage::Client));
        }
    }
    usages.sort();
    usages
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    #[test]
    fn no_bit_of_a_root_can_change_unnoticed() {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "a root");
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let whole = CertificateInfo::from_der(&der).unwrap();
        assert!(whole.has_own_signature() && !whole.is_damaged_root());
        let mut unnoticed = Vec::new();
        for bit in 0..der.len() * 8 {
            let mut damaged = der.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(info) = CertificateInfo::from_der(&damaged)
                && (info.has_own_signature() || !info.is_damaged_root())
            {
                unnoticed.push((bit / 8, der[bit / 8], damaged[bit / 8]));
            }
        }
        assert!(unnoticed.is_empty(), "{unnoticed:02x?} of {der:02x?}");
    }
}
