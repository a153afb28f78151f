//! What a verification found, and what to do about it.

use std::collections::BTreeSet;

/// What was found right, and what wrong. Names in it are as they are in the file: whoever prints them escapes them.
#[derive(Debug, Default, serde::Serialize)]
pub struct Report {
    /// How many files were compared.
    pub files: usize,
    /// How many bytes were read.
    pub bytes: u64,
    /// Everything that is wrong, sorted by file.
    pub faults: Vec<String>,
    /// What is right and still not good.
    pub warnings: Vec<String>,
    /// Fingerprints of the trusted keys that signed it; empty if nobody asked.
    pub signed_by: Vec<String>,
    /// Fingerprints of the trusted keys whose owners built it again and got the same public files.
    pub rebuilt_by: Vec<String>,
    /// What is there and in no list, so that nothing is known about it.
    pub not_compared: Vec<String>,
    /// What it is, if it is no whole bundle: a thin copy, a delta or a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thin: Option<String>,
    /// Why there are faults.
    #[serde(skip)]
    causes: BTreeSet<Cause>,
}

/// Why a verification fails. What says most about what to do comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Bytes are not what a list or a signature says.
    Damaged,
    /// Nobody signed it.
    Unsigned,
    /// Nobody whose signature counts signed it.
    Untrusted,
    /// It is a file without a signature of its own.
    PartOfBundle,
    /// Fewer keys than wanted vouch for it.
    TooFew,
}

impl Cause {
    /// What to do next.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Damaged => "copy it again from where it was built, or build it again",
            Self::Unsigned => {
                "whoever built it signs it with `kube-bundle sign OUT --key KEY`, and its archives as well with \
                 `kube-bundle build --sign KEY`; without `--trust`, checksums alone are compared"
            }
            Self::Untrusted => {
                "get it from whom you trust; or if that key is theirs, compare `ssh-keygen -lf KEY.pub` with them, and \
                 have the directory of trusted keys written anew: `kube-bundle trust init DIR --key KEY`"
            }
            Self::PartOfBundle => "name the bundle's directory",
            Self::TooFew => {
                "have others build it again and say so: `kube-bundle attest OUT -c cluster.toml --key KEY`; their keys are \
                 trusted by `kube-bundle trust init DIR --rebuilder KEY.pub`"
            }
        }
    }
}

impl Report {
    pub(super) fn fault(&mut self, fault: impl Into<String>) {
        self.fault_of(Cause::Damaged, fault);
    }

    pub(super) fn fault_of(&mut self, cause: Cause, fault: impl Into<String>) {
        self.causes.insert(cause);
        self.faults.push(fault.into());
    }

    /// Why it fails, if it does.
    pub fn cause(&self) -> Option<Cause> {
        // No fault goes unnoticed, whoever added it.
        let unknown = (!self.faults.is_empty()).then_some(Cause::Damaged);
        self.causes.first().copied().or(unknown)
    }

    /// Adds a fault if fewer keys vouch for it than wanted. One that signed it and rebuilt it counts once.
    pub fn want_keys(&mut self, threshold: usize) {
        let keys: BTreeSet<_> = self.signed_by.iter().chain(&self.rebuilt_by).collect();
        let (counted, does) = (keys.len(), if keys.len() == 1 { "does" } else { "do" });
        if counted < threshold {
            let fault = format!("{threshold} trusted keys must vouch for it, and {counted} {does}");
            self.fault_of(Cause::TooFew, fault);
        }
    }

    pub(super) fn sorted(mut self) -> Self {
        self.faults.sort();
        self.faults.dedup();
        self
    }
}
