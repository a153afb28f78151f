//! What a manifest says of its bundle besides its files: machines, the origin of programs and images, certificates. Nothing
//! here depends on the time or place of the build, so a rebuild has the same manifest.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::fetch::mirror::without_password;
use crate::hash::{Pin, Sha256};
use crate::plan::downloads::{Content, Download};
use crate::recipe::component::Publisher;
use crate::recipe::layout::Usage;

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    pub address: IpAddr,
    /// In the order in which their units start.
    pub roles: Vec<String>,
}

/// Where downloaded bytes come from, as the recipe says it. From which of the URLs or mirrors they really came makes no
/// difference to the bytes, and is not known when they were downloaded for an earlier build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// In the order of trying, without passwords; of an image, repositories. Empty where the recipe names none.
    pub urls: Vec<String>,
    /// What the download was verified against.
    pub pin: Pin,
    /// Who published the pin.
    pub publishers: Vec<Publisher>,
}

/// A program or file that some machine gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentRecord {
    pub version: String,
    /// Of the component itself, which may be a part of what was downloaded.
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
    /// SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub license: Option<String>,
    /// Its path in the archive or image that was downloaded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub member: Option<String>,
    pub origin: Origin,
}

/// A certificate. Its public key and its digest are public, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    pub subject: String,
    /// ID of the CA that signed it, its own for a root; `None` where it was made elsewhere by a CA that is not here.
    pub issuer: Option<String>,
    /// Subject alternative names.
    pub names: Vec<String>,
    pub usages: Vec<Usage>,
    pub is_ca: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Hexadecimal.
    pub serial: String,
    /// Digest of the public key (`SubjectPublicKeyInfo`, DER).
    pub public_key: Sha256,
    /// Digest of the certificate (DER): what `openssl x509 -fingerprint -sha256` prints.
    pub sha256: Sha256,
}

impl Origin {
    pub(crate) fn of(download: &Download) -> Self {
        let urls = download.urls.iter().map(|url| without_password(url)).collect();
        Self { urls, pin: download.pin, publishers: download.publishers.clone() }
    }
}

impl ComponentRecord {
    /// The records of what a download yields; `find` knows digest and size of a component.
    pub(crate) fn of<'d>(
        download: &'d Download,
        find: impl Fn(&str) -> Option<(Sha256, u64)> + 'd,
    ) -> impl Iterator<Item = (String, Self)> + 'd {
        let is_part = !matches!(download.content, Content::Binary(_));
        download.members().iter().filter_map(move |member| {
            let (sha256, size) = find(&member.component)?;
            let record = Self {
                version: member.version.clone(),
                sha256,
                size,
                license: member.identity.license.clone(),
                member: is_part.then(|| member.path.clone()),
                origin: Origin::of(download),
            };
            Some((member.component.clone(), record))
        })
    }
}
