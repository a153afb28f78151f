//! `kube-bundle push` and `kube-bundle pull`

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Console;
use super::attempt::Attempt;
use super::console::show;
use crate::cli::{PushArgs, RegistryArgs};
use crate::error::ExitCode;
use crate::fetch::{Policy, credentials};
use crate::progress::bytes;
use crate::registry::{self, PushOptions, Reference, Remote, Version};
use crate::trust::Trust;
use crate::{Error, clock};

pub(super) fn push(args: &PushArgs, console: &Console) -> Result<(), Error> {
    Attempt { path: &args.bundle, command: "push", exit: ExitCode::Failed }.expect_bundle()?;
    let to = remote(args.reference.clone(), &args.registry)?;
    let Version::Tag(tag) = args.reference.version() else {
        return Err(Error::Usage(
            "a digest follows from what is pushed; name a tag: `oci://HOST/REPOSITORY:TAG`".to_owned(),
        ));
    };
    let options = PushOptions {
        whole_files: args.whole_files,
        include_secrets: args.include_secrets,
        mount_from: args.mount_from.as_deref(),
    };
    let pushed = registry::push(&args.bundle, &to, tag, &options, console.progress())?;
    let mounted =
        if pushed.mounted > 0 { format!(", {} taken from elsewhere in it", pushed.mounted) } else { String::new() };
    console.note(&format!(
        "Pushed {} to {}: {} of {} files sent ({}){mounted}",
        args.bundle.display(),
        pushed.reference,
        pushed.sent,
        pushed.blobs,
        bytes(pushed.sent_bytes)
    ));
    console.result(&pushed, || format!("{}\n", pushed.exact))
}

pub(super) fn pull(
    reference: Reference,
    out: &Path,
    trust: Option<&Path>,
    args: &RegistryArgs,
    console: &Console,
) -> Result<(), Error> {
    let trust = trust.map(|directory| Trust::read(directory, clock::now())).transpose()?;
    let from = remote(reference, args)?;
    let pulled = registry::pull(&from, out, trust.as_ref(), console.progress())?;
    for warning in &pulled.verified.warnings {
        console.progress().warn(&crate::printable::printable(warning));
    }
    console.note(&format!("Pulled {} to {}", pulled.exact, out.display()));
    if console.json() {
        return console.result(&pulled, String::new);
    }
    show(&super::verify::result(out, &pulled.verified, console.paint))
}

fn remote(reference: Reference, args: &RegistryArgs) -> Result<Remote, Error> {
    let credential = credentials::find(&password_files(), reference.registry(), reference.repository())?;
    let policy = Policy { idle: Duration::from_secs(args.timeout), retries: args.retries, ..Policy::default() };
    Ok(Remote { reference, plain_http: args.plain_http, credential, policy, jobs: args.jobs.into() })
}

/// Where `skopeo login` and `docker login` keep passwords, by the rules of containers-auth.json(5) and of docker.
fn password_files() -> Vec<PathBuf> {
    let variable = |name: &str| clock::variable(name).map(PathBuf::from);
    if let Some(file) = variable("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let containers = variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json"));
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
    containers.into_iter().chain(docker.map(|directory| directory.join("config.json"))).collect()
}
