//! What Debian Policy wants in every package, copyright (12.5) and changelog (12.7), and what lintian(1) is told.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{control, gzipped};
use crate::package::Package;
use crate::target::{InstallPath, Mode};
use crate::tree::{Conflict, Content, Entry, Tree};

/// Adds documentation to the files of a package.
pub(super) fn document(tree: &mut Tree, about: &Package, date: OffsetDateTime) -> Result<(), Conflict> {
    let directory = format!("usr/share/doc/{}", about.name);
    let overrides = overrides(tree, about);
    for (path, bytes) in [
        (format!("{directory}/copyright"), about.copyright.clone().into_bytes()),
        (format!("{directory}/changelog.Debian.gz"), gzipped(changelog(about, date).as_bytes())),
        (format!("usr/share/lintian/overrides/{}", about.name), overrides.into_bytes()),
    ] {
        tree.insert(InstallPath::known(&path), Entry::text(Mode::PUBLIC, bytes))?;
    }
    Ok(())
}

/// One entry (4.4), dated like every packed file.
fn changelog(about: &Package, date: OffsetDateTime) -> String {
    let date = date.format(&Rfc2822).unwrap_or_else(|why| unreachable!("it is after 1900: {why}"));
    format!(
        "{} ({}) unstable; urgency=medium\n\n  * Version {}, packed by kube-bundle.\n\n -- {}  {date}\n",
        about.name,
        control::version(&about.version),
        about.version.upstream(),
        about.maintainer
    )
}

/// What lintian would say of these files, and why it is meant to be so.
fn overrides(tree: &Tree, about: &Package) -> String {
    let program = tree.files().any(|(_, entry)| matches!(entry.content, Content::Blob(_)));
    let secret = tree.files().any(|(_, entry)| matches!(entry.content, Content::Secret(_)));
    let position_independent =
        tree.files().any(|(_, entry)| matches!(&entry.content, Content::Bytes(bytes) if bytes.starts_with(b"\x7fELF")));
    let private = tree.iter().any(|(_, entry)| entry.mode == Mode::PRIVATE);
    let reasons = [
        (about.version.revision() == 1, "no Debian bug asked for this package", "initial-upload-closes-no-bugs"),
        (program, "Kubernetes is released as static Go programs", "statically-linked-binary"),
        (
            position_independent,
            "a static program that is loaded at any address is no library",
            "shared-library-lacks-prerequisites",
        ),
        (program || secret, "--help of each command says what it does", "no-manual-page"),
        (secret, "keys are for root alone", "non-standard-file-perm"),
        (private, "and only root may enter their directory", "non-standard-dir-perm"),
        (secret, "deb-systemd-invoke is used where it is installed", "maintainer-script-calls-systemctl"),
        (secret, "everyone may read md5sums, and no digest of a key belongs there", "file-missing-in-md5sums"),
    ];
    let wanted = reasons.iter().filter(|(wanted, _, _)| *wanted);
    wanted.map(|(_, reason, tag)| format!("# {reason}\n{}: {tag}\n", about.name)).collect()
}
