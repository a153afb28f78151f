//! `kube-bundle init`

use std::path::Path;

use super::Console;
use super::cluster::default_recipe;
use crate::cli::InitArgs;
use crate::spec::filled::Values;
use crate::spec::{ClusterSpec, EXAMPLE_PREFIX};
use crate::{Error, out};

const WITH_EXAMPLES: &str = "Edit it, then run `kube-bundle plan` to see what a build would make, and `kube-bundle build`. \
                             Addresses that begin with 198.51.100 are examples: replace them all.";
const WITH_NODES: &str =
    "Look through it, then run `kube-bundle plan` to see what a build would make, and `kube-bundle build`.";

pub(super) fn init(path: &Path, args: InitArgs, console: &Console) -> Result<(), Error> {
    let InitArgs { name, endpoint, nodes, etcd, pod_cidr, service_cidr } = args;
    let values = Values { name, endpoint, pod_cidr, service_cidr, nodes, etcd };
    let text = checked(path, &values, console)?;
    write(path, &text)?;
    if let Some(host) = values.further_name() {
        console.note(&format!("`{host}` is no node's address, so it was added to `apiserver_sans`."));
    }
    console.note(if values.nodes.is_empty() { WITH_EXAMPLES } else { WITH_NODES });
    console.result(&path, || path.display().to_string())
}

/// The file's text. Its errors are shown in the file as it would have been written.
fn checked(path: &Path, values: &Values, console: &Console) -> Result<String, Error> {
    let roles = default_recipe()?.role_catalog();
    let text = values.fill(&roles);
    let name = format!("{} (not written)", path.display());
    // Examples may stay in a file that is edited next, not in one that is built from.
    let complete = if values.nodes.is_empty() { text.replace(EXAMPLE_PREFIX, "192.0.2.") } else { text.clone() };
    let (_, warnings) = ClusterSpec::parse(&name, &complete, &roles).map_err(Error::Spec)?;
    console.warn(&warnings);
    Ok(text)
}

/// Writes a new file, and never overwrites one: it may have been edited.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::Io { verb: "write", path: path.to_owned(), source };
    let mut file = out::begin(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
    out::set_mode(file.path(), crate::target::Mode::PUBLIC).map_err(failed)?;
    file.persist_noclobber(path).map(drop).map_err(|why| match why.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        _ => failed(why.error),
    })
}
