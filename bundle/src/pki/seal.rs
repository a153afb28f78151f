//! `pki/seal/`: the keys that open what a bundle has encrypted.
//!
//! ```text
//! recovery.key     opens everything, for people: PEM, 0600
//! sealing.key      what the keys inside encrypted files follow from; without it, the next build has other bytes
//! NODE.pem         opens what is this machine's, 0600; with `seal = "passphrase"`, encrypted with it
//! NODE.pub         its public half, where the private one is encrypted
//! ```
//!
//! Keys that open can't be made again: copies of them are on key disks, and bundles are encrypted for them.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};

use super::private_key::Key;
use super::{Error, Run, directory, locked};
use crate::plan::certificates::SealPlan;
use crate::secret::Secret;
use crate::spec::names::NodeName;
use crate::spec::{KeyAlgorithm, Recipient, Seal};

/// The directory in `pki/`.
const DIRECTORY: &str = "seal";
const RECOVERY: &str = "seal/recovery.key";
const SEALING: &str = "seal/sealing.key";
/// Bytes of the sealing key.
const SEALING_KEY: usize = 32;

/// The public keys for which secrets are encrypted, and what else is needed for it. No `Debug`.
pub struct SealKeys {
    /// What the keys of machines are.
    pub by: Seal,
    pub(crate) sealing_key: Secret,
    /// The key for people.
    pub(crate) recovery: Opener,
    pub(crate) nodes: BTreeMap<NodeName, Opener>,
}

/// A key that opens secrets.
pub(crate) struct Opener {
    pub(crate) recipient: Recipient,
    /// PEM of the private key, encrypted with a passphrase.
    pub(crate) locked: Option<String>,
}

impl From<Recipient> for Opener {
    fn from(recipient: Recipient) -> Self {
        Self { recipient, locked: None }
    }
}

/// Files that decide what is written, by their names in `pki/`.
pub(super) fn files(plan: &SealPlan) -> Vec<String> {
    let mut names = irreplaceable(plan);
    names.push(SEALING.to_owned());
    names
}

/// Those of them that can't be made again. The key of a host is on its machine.
pub(super) fn irreplaceable(plan: &SealPlan) -> Vec<String> {
    let held = plan.nodes.iter().filter(|(_, host_key)| plan.by != Seal::SshHost || host_key.is_none());
    let nodes = held.flat_map(|(node, _)| {
        let public = (plan.by == Seal::Passphrase).then(|| public_name(node));
        std::iter::once(private_name(node)).chain(public)
    });
    std::iter::once(RECOVERY.to_owned()).chain(nodes).collect()
}

fn private_name(node: &NodeName) -> String {
    format!("{DIRECTORY}/{node}.pem")
}

fn public_name(node: &NodeName) -> String {
    format!("{DIRECTORY}/{node}.pub")
}

impl Run<'_> {
    /// Loads the keys, and makes those that are missing, after [`Run::check_seal_keys`]; `None` if nothing is encrypted.
    pub(super) fn seal_keys(&self) -> Result<Option<SealKeys>, Error> {
        let Some(plan) = &self.plan.seal else { return Ok(None) };
        let mut nodes = BTreeMap::new();
        for (node, host_key) in &plan.nodes {
            let opener = match (plan.by, host_key) {
                (Seal::SshHost, Some(recipient)) => self.host_key(node, recipient)?,
                (Seal::Passphrase, _) => self.locked_key(node)?,
                _ => {
                    let what = format!("opens the secrets of {node}: copy it to the machine's key disk");
                    self.plain_key(&private_name(node), &what)?
                }
            };
            nodes.insert(node.clone(), opener);
        }
        let what = "opens the secrets of all machines and people: keep a copy in a safe place";
        Ok(Some(SealKeys {
            by: plan.by,
            sealing_key: self.sealing_key()?,
            recovery: self.plain_key(RECOVERY, what)?,
            nodes,
        }))
    }

    /// The key that `cluster.toml` names, if it is one.
    fn host_key(&self, node: &NodeName, recipient: &Recipient) -> Result<Opener, Error> {
        match ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, recipient.point()) {
            Ok(_) => Ok((*recipient).into()),
            Err(_) => Err(Error::Unfit {
                path: self.at.base.join("cluster.toml"),
                why: format!("`recipient` of node `{node}` is no key on the curve P-256; a character of it is wrong"),
            }),
        }
    }

    /// A key that is in a file as it is; `what` completes the sentence that says that one was made.
    fn plain_key(&self, name: &str, what: &str) -> Result<Opener, Error> {
        if !self.directory.has(name) {
            let key = new_key(name)?;
            self.directory.write_secret(name, key.pem().expose())?;
            self.say_made(name, what);
        }
        let key = directory::read_key(&self.directory.path(name))?;
        self.recipient(name, &key).map(Opener::from)
    }

    /// A key that is in a file encrypted with the passphrase, which is asked for only once.
    fn locked_key(&self, node: &NodeName) -> Result<Opener, Error> {
        let (name, public) = (private_name(node), public_name(node));
        if let (Some(pem), Some(line)) = (self.text(&name)?, self.text(&public)?)
            && pem.contains(locked::LABEL)
        {
            let recipient = line.parse().map_err(|why| self.unfit(&public, why))?;
            return Ok(Opener { recipient, locked: Some(pem) });
        }
        if self.directory.has(&name) {
            let why = "it is not encrypted with a passphrase, or has no public key beside it";
            let how = "move it away and delete its line from `pki/SHA256SUMS`, and the next build makes another key";
            return Err(self.unfit(&name, format!("{why}; {how}")));
        }
        let passphrase = self.at.passphrase.as_ref().ok_or(Error::Passphrase)?;
        if passphrase.expose().len() < locked::SHORTEST {
            return Err(Error::Passphrase);
        }
        let key = new_key(&name)?;
        let recipient = self.recipient(&name, &key)?;
        let pem = locked::lock(&key.pem(), passphrase).ok_or_else(|| no_numbers(&name))?;
        self.directory.write_secret(&public, format!("{recipient}\n").as_bytes())?;
        self.directory.write_secret(&name, pem.as_bytes())?;
        self.say_made(&name, &format!("opens the secrets of {node} with the passphrase"));
        Ok(Opener { recipient, locked: Some(pem) })
    }

    fn sealing_key(&self) -> Result<Secret, Error> {
        if let Some(key) = self.directory.file(SEALING)? {
            return match key.expose().len() {
                SEALING_KEY => Ok(key),
                _ => Err(self.unfit(SEALING, format!("it does not have {SEALING_KEY} bytes"))),
            };
        }
        let mut bytes = zeroize::Zeroizing::new([0; SEALING_KEY]);
        rand::fill(&mut *bytes).map_err(|_| no_numbers(SEALING))?;
        self.directory.write_secret(SEALING, &*bytes)?;
        if self.directory.has(RECOVERY) {
            self.progress.note(&format!(
                "Drew another {}: what is encrypted has other bytes than before, and is opened as before",
                self.directory.path(SEALING).display()
            ));
        }
        Ok(Secret::new(*bytes))
    }

    fn recipient(&self, name: &str, key: &Key) -> Result<Recipient, Error> {
        let is_on_curve = key.algorithm() == Some(KeyAlgorithm::EcdsaP256);
        let point = Recipient::from_point(key.public_bits()).filter(|_| is_on_curve);
        point.ok_or_else(|| self.unfit(name, "it is no key on the curve P-256".to_owned()))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let bytes = self.directory.file(name)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes.expose()).into_owned()))
    }

    fn unfit(&self, name: &str, why: String) -> Error {
        Error::Unfit { path: self.directory.path(name), why }
    }

    fn say_made(&self, name: &str, what: &str) {
        self.progress.note(&format!("Made {}, which {what}", self.directory.path(name).display()));
    }
}

fn new_key(name: &str) -> Result<Key, Error> {
    let failed = |why| Error::Crypto { verb: "make", id: name.to_owned(), why };
    Key::generate(KeyAlgorithm::EcdsaP256).map_err(failed)
}

fn no_numbers(name: &str) -> Error {
    Error::Crypto { verb: "make", id: name.to_owned(), why: "no random numbers".to_owned() }
}
