//! X.509 as Kubernetes v1.16 wants it: planned entries become signed PEM. The profile follows cfssl's, which
//! the guide uses, with one purpose for each certificate.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize, SanType,
    SerialNumber,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::authority::Authority;
use super::info::{CertificateInfo, day};
use super::pem;
use crate::plan::certificates::{CertPlan, Name};
use crate::recipe::layout::Usage;
use crate::secret::Secret;
use crate::spec::names::Host;
use crate::spec::{KeyAlgorithm, Lifetime};

/// A machine whose clock runs a time zone behind must not find its certificates in the future.
const BACKDATED: time::Duration = time::Duration::hours(24);

/// A private key, wiped on drop.
pub(crate) struct Key(Zeroizing<KeyPair>);

impl Key {
    pub(super) fn generate(algorithm: KeyAlgorithm) -> Result<Self, String> {
        let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
        let key = match algorithm {
            KeyAlgorithm::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => rsa(RsaKeySize::_4096),
            KeyAlgorithm::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        };
        key.map(|key| Self(Zeroizing::new(key))).map_err(|why| why.to_string())
    }

    /// PKCS#8, PKCS#1 or SEC1.
    pub(super) fn from_pem(bytes: &Secret) -> Result<Self, String> {
        let text = bytes.expose_text().map_err(|_| "it is no PEM".to_owned())?;
        // `openssl ecparam -genkey` puts the curve's parameters before the key.
        let key =
            *pem::blocks(text, "PRIVATE KEY").first().ok_or_else(|| "there is no private key in it".to_owned())?;
        // `from_pem` tries every curve first, and has an RSA key checked by each of them.
        KeyPair::from_pem_and_sign_algo(key, &PKCS_RSA_SHA256)
            .or_else(|_| KeyPair::from_pem(key))
            .map(|key| Self(Zeroizing::new(key)))
            .map_err(|_| "it is no private key that can be used here".to_owned())
    }

    /// PKCS#8, which every reader of v1.16 takes for a private key.
    pub(super) fn pem(&self) -> Secret {
        Secret::new(self.0.serialize_pem())
    }

    /// PKIX `PUBLIC KEY`.
    pub(super) fn public_pem(&self) -> String {
        self.0.public_key_pem()
    }

    /// The public half as it stands in a certificate (the bits of `subjectPublicKey`).
    pub(super) fn public_bits(&self) -> &[u8] {
        self.0.public_key_raw()
    }

    /// Whether every part of Kubernetes v1.16 reads such a key (Go 1.12 has no Ed25519).
    pub(super) fn is_known_to_v1_16(&self) -> bool {
        [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384].contains(&self.0.algorithm())
    }

    /// The kind, if it is one that the spec can ask for.
    pub(super) fn algorithm(&self) -> Option<KeyAlgorithm> {
        if self.0.algorithm() == &PKCS_ECDSA_P256_SHA256 {
            return Some(KeyAlgorithm::EcdsaP256);
        }
        // RSAPublicKey is a SEQUENCE of modulus and a short exponent: its length tells the modulus apart.
        match self.public_bits().len() {
            _ if self.0.algorithm() != &PKCS_RSA_SHA256 => None,
            260..=300 => Some(KeyAlgorithm::Rsa2048),
            390..=430 => Some(KeyAlgorithm::Rsa3072),
            515..=560 => Some(KeyAlgorithm::Rsa4096),
            _ => None,
        }
    }
}

/// X.509 counts in seconds.
pub(super) fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

/// A CA certificate that signs itself, from a day before `now` on. Fails where it would end after the year 9999.
pub(super) fn self_signed(
    subject: &Name,
    lifetime: Lifetime,
    key: &Key,
    now: OffsetDateTime,
) -> Result<String, String> {
    let mut params = params(subject, now)?;
    params.not_after = params.not_before.checked_add(lifetime.duration()).ok_or_else(|| {
        format!("a lifetime of {lifetime} from {} on is more than X.509 has years", day(params.not_before))
    })?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.self_signed(&*key.0).map(|certificate| certificate.pem()).map_err(|why| why.to_string())
}

/// A leaf, signed. Its end is the plan's, or the CA's if that comes first.
pub(super) fn signed(
    planned: &CertPlan,
    key: &Key,
    authority: &Authority,
    now: OffsetDateTime,
) -> Result<String, String> {
    let CertPlan::Leaf { subject, usages, names, lifetime, .. } = planned else {
        return Err("only leaves are signed by a CA".to_owned());
    };
    let mut params = params(subject, now)?;
    params.not_before = params.not_before.max(authority.info.not_before);
    params.not_after = params.not_before.saturating_add(lifetime.duration()).min(authority.info.not_after);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = usages
        .iter()
        .map(|usage| match usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    params.subject_alt_names = names.iter().map(alternative_name).collect::<Result<_, _>>()?;
    let issuer = Issuer::from_ca_cert_pem(&authority.pem, &*authority.key.0)
        .map_err(|why| format!("its CA can't be used: {why}"))?;
    let pem = params.signed_by(&*key.0, &issuer).map(|certificate| certificate.pem()).map_err(|why| why.to_string())?;
    // A CA made elsewhere may have a subject that doesn't survive being read and written again.
    let info = CertificateInfo::from_pem(&pem)?;
    if info.is_signed_by(&authority.info) {
        Ok(pem)
    } else {
        Err("the CA's subject is of a form that can't be written as an issuer".to_owned())
    }
}

fn params(subject: &Name, now: OffsetDateTime) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.not_before = whole_second(now.saturating_sub(BACKDATED));
    params.serial_number = Some(serial()?);
    params.distinguished_name = distinguished_name(subject);
    Ok(params)
}

/// 159 random bits: positive, of 20 octets (RFC 5280, 4.1.2.2), never used twice, whatever is renewed.
fn serial() -> Result<SerialNumber, String> {
    let mut bytes = [0; 20];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no random numbers".to_owned())?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn distinguished_name(subject: &Name) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    let place = &subject.place;
    let parts = [
        (DnType::CountryName, place.country.as_ref()),
        (DnType::StateOrProvinceName, place.state.as_ref()),
        (DnType::LocalityName, place.locality.as_ref()),
        (DnType::OrganizationName, subject.organization.as_ref()),
        (DnType::CommonName, Some(&subject.common_name)),
    ];
    for (kind, text) in parts.into_iter().filter_map(|(kind, text)| Some((kind, text?))) {
        // PrintableString where the text allows it, as cfssl writes; UTF-8 otherwise.
        let value =
            text.as_str().try_into().map_or_else(|_| DnValue::Utf8String(text.clone()), DnValue::PrintableString);
        name.push(kind, value);
    }
    name
}

fn alternative_name(host: &Host) -> Result<SanType, String> {
    Ok(match host {
        Host::Ip(address) => SanType::IpAddress(*address),
        Host::Name(name) => SanType::DnsName(name.as_str().try_into().map_err(|why| format!("`{name}`: {why}"))?),
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_key_with_a_changed_bit_never_signs_what_its_public_half_refuses() {
        let whole = Key::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let der = whole.0.serialize_der();
        let mut refused = 0;
        for bit in 0..der.len() * 8 {
            let mut damaged = der.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let pem =
                format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&damaged));
            match Key::from_pem(&Secret::new(pem)) {
                Err(_) => refused += 1,
                Ok(key) if key.public_bits() != whole.public_bits() => {}
                Ok(key) => {
                    let params = CertificateParams::default().self_signed(&*key.0).unwrap();
                    let info = CertificateInfo::from_pem(&params.pem()).unwrap();
                    assert!(info.has_own_signature(), "byte {} of {}", bit / 8, der.len());
                }
            }
        }
        // The secret number alone is 256 bits, and its public point another 512.
        assert!(refused >= 700, "{refused} of {}", der.len() * 8);
    }
}
