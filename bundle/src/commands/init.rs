//! `kube-bundle init`

use std::path::Path;

use super::Console;
use crate::spec::TEMPLATE;
use crate::{Error, out};

pub(super) fn init(path: &Path, console: &Console) -> Result<(), Error> {
    let failed = |source| Error::Io { verb: "write", path: path.to_owned(), source };
    let mut file = out::begin(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, TEMPLATE.as_bytes()).map_err(failed)?;
    out::set_mode(file.path(), crate::target::Mode::PUBLIC).map_err(failed)?;
    // Never overwrite a file: it may have been edited.
    file.persist_noclobber(path).map_err(|why| match why.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        _ => failed(why.error),
    })?;
    console.note("Edit it, then run `kube-bundle plan` to see what a build would make, and `kube-bundle build`.");
    console.result(&path, || path.display().to_string())
}
