//! What texts and scripts for one machine are made from.

use time::OffsetDateTime;

use crate::hash::Sha256;
use crate::plan::{NodePlan, Plan};
use crate::spec::Seal;

/// A machine, and what it has in common with the others.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) plan: &'a Plan,
    pub(super) node: &'a NodePlan,
    /// When all certificates are valid.
    pub(super) window: (OffsetDateTime, OffsetDateTime),
    /// What opens the secrets; `None` if they are not encrypted.
    pub(super) seal: Option<Seal>,
    /// The public key of the CA that data on the machine belong to, if there are any.
    pub(super) data_of: Option<Sha256>,
}
