//! `kube-bundle push` and `kube-bundle pull`

use std::path::PathBuf;
use std::time::Duration;

use super::Console;
use super::attempt::Attempt;
use super::console::show;
use super::verify::{result, trust};
use crate::cli::{PullArgs, PushArgs, RegistryArgs};
use crate::error::ExitCode;
use crate::fetch::aws::{self, Access};
use crate::fetch::{Policy, credentials};
use crate::progress::bytes;
use crate::registry::{self, Location, PushOptions, Pushed, Reference, Remote, Version};
use crate::{Error, clock};

pub(super) fn push(args: &PushArgs, console: &Console) -> Result<(), Error> {
    Attempt { path: &args.bundle, command: "push", exit: ExitCode::Failed }.expect_bundle()?;
    let to = remote(args.location.clone(), &args.registry)?;
    let pushed = match &args.location {
        Location::Registry(reference) => push_artifact(args, &to, reference, console)?,
        Location::Bucket(_) if args.whole_files || args.mount_from.is_some() => {
            return Err(Error::Usage("`--whole-files` and `--mount-from` are for registries, `oci://`".to_owned()));
        }
        Location::Bucket(at) => {
            registry::push_objects(&args.bundle, &to, at, args.include_secrets, console.progress())?
        }
        Location::Web(_) => {
            let why = "a web server only serves: `kube-bundle export OUT DIR`, and copy DIR into what it serves; \
                       a push is to `oci://` or `s3://`";
            return Err(Error::Usage(why.to_owned()));
        }
    };
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
    console.result(&pushed, || format!("{}\n", pushed.exact.as_ref().unwrap_or(&pushed.reference)))
}

fn push_artifact(args: &PushArgs, to: &Remote, reference: &Reference, console: &Console) -> Result<Pushed, Error> {
    let Version::Tag(tag) = reference.version() else {
        return Err(Error::Usage(
            "a digest follows from what is pushed; name a tag: `oci://HOST/REPOSITORY:TAG`".to_owned(),
        ));
    };
    let options = PushOptions {
        whole_files: args.whole_files,
        include_secrets: args.include_secrets,
        mount_from: args.mount_from.as_deref(),
    };
    Ok(registry::push(&args.bundle, to, reference, tag, &options, console.progress())?)
}

pub(super) fn pull(args: &PullArgs, console: &Console) -> Result<(), Error> {
    let trust = trust(&args.trust)?;
    let trust = trust.as_ref().map(|trust| (trust, args.trust.threshold.into()));
    let from = remote(args.location.clone(), &args.registry)?;
    let pulled = registry::pull(&from, &args.out, trust, console.progress())?;
    for warning in &pulled.verified.warnings {
        console.progress().warn(&crate::printable::printable(warning));
    }
    console.note(&format!("Pulled {} to {}", pulled.exact.as_ref().unwrap_or(&pulled.reference), args.out.display()));
    if console.json() {
        return console.result(&pulled, String::new);
    }
    show(&result(&args.out, &pulled.verified, console.paint))
}

fn remote(location: Location, args: &RegistryArgs) -> Result<Remote, Error> {
    let (mut credential, mut access) = (None, Access::default());
    match &location {
        Location::Registry(reference) => {
            credential = credentials::find(&password_files(), reference.registry(), reference.repository())?;
        }
        Location::Bucket(_) => {
            access = aws::find(&clock::variable)?;
            refuse_exposed(access.endpoint.as_deref().unwrap_or_default(), args)?;
        }
        Location::Web(directory) => refuse_exposed(directory.url(), args)?,
    }
    let policy = Policy { idle: Duration::from_secs(args.timeout), retries: args.retries, ..Policy::default() };
    Ok(Remote { location, plain_http: args.plain_http, credential, access, policy, jobs: args.jobs.into() })
}

/// Only this machine is spoken to without encryption, unless somebody says that it may be done.
fn refuse_exposed(url: &str, args: &RegistryArgs) -> Result<(), Error> {
    if registry::is_exposed(url) && args.plain_http != Some(true) {
        let why = format!("`{url}` is without encryption: name an https:// URL, or allow it with `--plain-http`");
        return Err(Error::Usage(why));
    }
    Ok(())
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
