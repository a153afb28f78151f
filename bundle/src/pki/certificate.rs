//! X.509 as Kubernetes v1.16 wants it: planned entries become signed PEM. The profile follows cfssl's, which
//! the guide uses, with one purpose for each certificate.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::OffsetDateTime;

use super::Credential;
use super::info::{CertificateInfo, day};
use super::private_key::Key;
use crate::plan::certificates::{CertPlan, Name};
use crate::recipe::layout::Usage;
use crate::spec::Lifetime;
use crate::spec::names::Host;

/// A machine whose clock runs a time zone behind must not find its certificates in the future.
const BACKDATED: time::Duration = time::Duration::hours(24);

/// A CA whose private key is here.
pub(super) struct Authority {
    /// PEM of its one certificate.
    pub(super) pem: String,
    pub(super) info: CertificateInfo,
    pub(super) key: Key,
}

impl Authority {
    pub(super) fn into_credential(self) -> Credential {
        Credential { key: Some(self.key.pem()), public: self.pem, info: Some(self.info) }
    }
}

/// X.509 counts in seconds.
pub(super) fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

/// From when on a certificate is valid that is made now.
pub(super) fn first_moment(now: OffsetDateTime) -> OffsetDateTime {
    whole_second(now.saturating_sub(BACKDATED))
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
    params.self_signed(key.pair()).map(|certificate| certificate.pem()).map_err(|why| why.to_string())
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
    let issuer = Issuer::from_ca_cert_pem(&authority.pem, authority.key.pair())
        .map_err(|why| format!("its CA can't be used: {why}"))?;
    let pem =
        params.signed_by(key.pair(), &issuer).map(|certificate| certificate.pem()).map_err(|why| why.to_string())?;
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
    params.not_before = first_moment(now);
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
