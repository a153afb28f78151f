//! A web server for the files of a bundle, from which machines of a site install over their own network.
//!
//! It serves what the manifest lists, the lists, and their signatures; nothing else that lies in the directory. Files with
//! secrets that nothing encrypts are refused, unless somebody decided otherwise.

mod http;
mod range;
mod site;
mod stream;

pub use http::{Limits, Server};
pub use site::{Refusal, Secrets, Site};
