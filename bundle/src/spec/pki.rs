//! `[pki]`: keys and certificates.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use super::names::NodeName;
use super::{Lifetime, Subject};

/// `[pki]`, with defaults filled in.
#[derive(Debug, Clone)]
pub struct PkiSpec {
    /// Used for every key that is made.
    pub key: KeyAlgorithm,
    pub ca_validity: Lifetime,
    /// Of every certificate except CAs.
    pub validity: Lifetime,
    /// Of the bootstrap token.
    pub token_validity: Lifetime,
    /// Attributes that all subjects share.
    pub subject: Subject,
    /// A cluster CA that exists already. `None`: one is made.
    pub existing_ca: Option<ExistingCa>,
    /// Masters that get the key of the cluster's CA; `None`: all of them.
    pub ca_key_on: Option<BTreeSet<NodeName>>,
}

impl PkiSpec {
    /// Whether a master gets the key of the cluster's CA, and so can sign certificates of kubelets.
    pub fn has_ca_key(&self, master: &NodeName) -> bool {
        self.ca_key_on.as_ref().is_none_or(|masters| masters.contains(master))
    }
}

/// Files of a CA that exists already. Relative paths are relative to `cluster.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingCa {
    pub cert: PathBuf,
    /// Needed because kube-controller-manager signs kubelet certificates with it.
    pub key: PathBuf,
}

/// Key types that Kubernetes v1.16 accepts for every key it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
}

impl FromStr for KeyAlgorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rsa-2048" => Ok(Self::Rsa2048),
            "rsa-3072" => Ok(Self::Rsa3072),
            "rsa-4096" => Ok(Self::Rsa4096),
            "ecdsa-p256" => Ok(Self::EcdsaP256),
            // v1.16.0 was built with Go 1.12; Ed25519 certificates came with Go 1.13. Its service-account code
            // supports only RSA and ECDSA.
            "ed25519" => Err("Kubernetes v1.16 does not support Ed25519; expected `rsa-2048`, `rsa-3072`, `rsa-4096` or `ecdsa-p256`".to_owned()),
            _ => Err("expected `rsa-2048`, `rsa-3072`, `rsa-4096` or `ecdsa-p256`".to_owned()),
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::EcdsaP256 => "ecdsa-p256",
        })
    }
}
