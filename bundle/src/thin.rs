//! Bundles that are carried with each object once: thin copies, what differs from a bundle that is there already, and parts
//! that fit on a disk or a stick.
//!
//! ```text
//! export.json                             which of the objects are here; written first
//! bundle.index                            of which objects each file of the bundle consists
//! pieces.SHA256SUMS                       the objects, for `sha256sum -c --ignore-missing`
//! pieces/ab/abcdef…                       an object; its name is its SHA-256
//! manifest.json, SHA256SUMS.sig, …        files that no list has the objects of, as they are
//! SHA256SUMS                              written last: without it, the export was not finished
//! ```

pub mod delta;
mod directory;
mod error;
pub mod export;
pub mod export_list;
pub mod import;
pub mod index;
pub mod parts;
mod place;
mod set;

pub use directory::{Directory, parse_sums};
pub use error::Error;
pub use export_list::ExportList;
pub use set::Set;
