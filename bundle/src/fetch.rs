//! From planned downloads to verified files.
//!
//! Only this module makes a [`Blob`], after its length, digest and ELF header were right; for one from the store, they were
//! checked when it was stored. Sources are tried in order. One that serves wrong bytes is reported, nothing of it is kept,
//! and the next one is tried. Offline, no network client is configured at all.

pub mod aws;
mod blobs;
mod body;
mod challenge;
pub mod credentials;
mod elf;
mod error;
mod extract;
mod http;
pub mod image;
pub mod image_archive;
mod image_format;
mod linked;
pub mod mirror;
pub mod object_store;
mod part;
pub mod patient;
mod policy;
pub mod repository;
mod resume;
pub mod site;
pub mod store;
mod tar_file;

use std::collections::BTreeMap;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::hash::{Pin, Sha256};
use crate::plan::Download;
use crate::plan::downloads::{Content, Member};
use crate::progress::{Progress, Task, bytes};
use crate::recipe::component::Kind;
use crate::workers;
pub use blobs::Blobs;
use body::Body;
pub use error::{AUTHORITIES_HINT, Error, FailedDownload, Fault};
pub(crate) use http::Url;
pub use image::Image;
pub use linked::{LinkedPrograms, linked};
use mirror::{Mirror, Mirrors, Place};
pub use policy::Policy;
pub use store::{Blob, Damaged, Store};

/// Where files may come from, and how they are fetched.
#[derive(Debug)]
pub struct Sources {
    /// Tried before the recipe's own URLs, in this order.
    pub mirrors: Vec<Mirror>,
    /// Never touch the network.
    pub offline: bool,
    /// Downloads at a time.
    pub jobs: usize,
    /// Timeouts and retries.
    pub policy: Policy,
}

/// Makes sure that every component and image of the plan is in the store. The error names every file that could not be had.
pub fn fetch(
    downloads: &[Download],
    store: &Store,
    sources: &Sources,
    progress: &dyn Progress,
) -> Result<Blobs, Error> {
    let (client, mirrors) = (&http::Client::lazy(sources.policy.clone()), &Mirrors::new(&sources.mirrors));
    let fetcher = Fetcher { store, sources, mirrors, client, progress };
    let mut blobs = Blobs::default();
    let mut missing = Vec::new();
    let present = workers::each(sources.jobs, downloads, |download| present(download, store, progress))?;
    for (download, found) in downloads.iter().zip(present) {
        match found {
            Some(found) => {
                progress.detail(&format!("In the store: {}", download.title()));
                blobs.extend(found);
            }
            None => missing.push(download),
        }
    }
    if sources.offline {
        let absent = |download: &&&Download| {
            let stored = matches!(&download.content, Content::Image(_)) && store.has(&download.pin);
            !stored && fetcher.mirrors.places(download, true).is_empty()
        };
        let unreachable: Vec<_> = missing.iter().filter(absent).map(|download| describe(download)).collect();
        if !unreachable.is_empty() {
            let directories = sources.mirrors.iter().filter_map(Mirror::directory);
            return Err(Error::Offline { missing: unreachable, searched: directories.map(Path::to_owned).collect() });
        }
    }
    blobs.extend(fetch_all(&missing, &fetcher)?);
    Ok(blobs)
}

fn describe(download: &Download) -> String {
    let size = download.size.map_or_else(String::new, |size| format!("{}, ", crate::progress::bytes(size)));
    format!("{} ({size}{})", download.title(), download.pin)
}

/// Shared by all downloads of a run.
#[derive(Clone, Copy)]
struct Fetcher<'a> {
    store: &'a Store,
    sources: &'a Sources,
    mirrors: &'a Mirrors<'a>,
    client: &'a http::Client,
    progress: &'a dyn Progress,
}

/// Fetches on several threads. After one file failed, the others are still fetched.
fn fetch_all(downloads: &[&Download], fetcher: &Fetcher<'_>) -> Result<Blobs, Error> {
    let outcomes = workers::each_in_order(fetcher.sources.jobs, downloads, fetcher.progress, |download, progress| {
        let fetcher = Fetcher { progress, ..*fetcher };
        match &download.content {
            Content::Image(content) => image::fetch(download, content, &fetcher),
            Content::Binary(_) | Content::Archive(_) => fetch_one(download, &fetcher),
        }
    })?;
    let (mut blobs, mut failed) = (Blobs::default(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(found) => blobs.extend(found),
            Err(file) => failed.push(file),
        }
    }
    if failed.is_empty() { Ok(blobs) } else { Err(Error::Failed { failed }) }
}

/// One file. The inner error is about this file and lists all places tried; the outer one ends the whole fetch.
fn fetch_one(download: &Download, fetcher: &Fetcher<'_>) -> Result<Result<Blobs, FailedDownload>, Error> {
    let Fetcher { store, sources, mirrors, client, progress } = fetcher;
    let title = download.title();
    let waiting = || progress.task(&title, None).note(&format!("Waiting for another build that fetches {title}"));
    let _lock = store.lock(&download.pin, waiting)?;
    // Another process that held the lock may have fetched it.
    if let Some(found) = present(download, store, *progress)? {
        progress.detail(&format!("In the store: {title}"));
        return Ok(Ok(found));
    }
    let mut tried = Vec::new();
    for place in mirrors.places(download, sources.offline) {
        let task = progress.task(&title, download.size);
        let obtained = obtain(download, &place, store, client, task.as_ref());
        drop(task);
        let fault = match obtained {
            Ok(found) => {
                let size = bytes(found.iter().map(|(_, blob)| blob.size()).sum());
                progress.note(&format!("Fetched {title} from {place} ({size})"));
                return check_pins(download, found).map(|found| Ok(components(found)));
            }
            Err(fault) => fault,
        };
        if !matches!(fault, Fault::Absent(_) | Fault::NoNetwork(_)) {
            progress.warn(&format!("{place}: {fault}"));
        }
        let is_disk = matches!(fault, Fault::Disk { .. });
        tried.push((place.to_string(), fault));
        if is_disk {
            break;
        }
    }
    Ok(Err(FailedDownload { file: title, pin: download.pin, tried }))
}

type Found = Vec<(String, Blob)>;

fn components(found: Found) -> Blobs {
    Blobs(found.into_iter().collect(), BTreeMap::new())
}

/// The components of a download, if the store has all of them.
fn present(download: &Download, store: &Store, progress: &dyn Progress) -> Result<Option<Blobs>, Error> {
    let known = match (&download.content, &download.pin) {
        (Content::Binary(member), Pin::Sha256(sha256)) => Some(vec![(member, *sha256)]),
        (Content::Binary(member), pin) => {
            store.archive(pin).and_then(|index| Some(vec![(member, *index.get(&member.path)?)]))
        }
        // Its manifest has to be read; `image` looks for each file in the store.
        (Content::Image(_), _) => None,
        (Content::Archive(members), pin) => store.archive(pin).and_then(|index| {
            members.iter().map(|member| Some((member, *index.get(&member.path)?))).collect::<Option<Vec<_>>>()
        }),
    };
    let Some(known) = known else { return Ok(None) };
    let mut found = Vec::new();
    for (member, sha256) in known {
        match store.blob(sha256, |damaged| progress.warn(&format!("{damaged}; fetching it again")))? {
            Some(blob) => found.push((member.component.clone(), blob)),
            None => return Ok(None),
        }
    }
    check_pins(download, found).map(|found| Some(components(found)))
}

fn check_pins(download: &Download, found: Found) -> Result<Found, Error> {
    for (component, blob) in &found {
        let member = download.members().iter().find(|member| member.component == *component);
        if let Some(expected) = member.and_then(|member| member.sha256)
            && expected != blob.sha256()
        {
            return Err(Error::Contradiction {
                component: component.clone(),
                file: download.file.clone(),
                expected,
                got: blob.sha256(),
            });
        }
    }
    Ok(found)
}

fn obtain(
    download: &Download,
    place: &Place,
    store: &Store,
    client: &http::Client,
    task: &dyn Task,
) -> Result<Found, Fault> {
    match place {
        Place::File(path) => {
            let (file, length) = store::open_local(path)?;
            task.expect(length);
            receive(download, &mut Body::new(file, download, task), store, Destination::Temporary)
        }
        Place::Archived(file) => {
            let (reader, length) = file.open()?;
            task.expect(length);
            receive(download, &mut Body::new(reader, download, task), store, Destination::Temporary)
        }
        Place::Unreadable(_, why) => Err(Fault::Wrong(why.clone())),
        Place::Url(url) => {
            let resumed = match stream(download, url, store, client, task) {
                Err((Fault::Wrong(_), true)) => stream(download, url, store, client, task),
                outcome => outcome,
            };
            resumed.map_err(|(fault, _)| fault)
        }
    }
}

/// Downloads from one URL. The flag of the error says whether bytes of several answers were put together: if their digest
/// is wrong, they may be of different versions of the file, and a download from the start may succeed.
fn stream(
    download: &Download,
    url: &str,
    store: &Store,
    client: &http::Client,
    task: &dyn Task,
) -> Result<Found, (Fault, bool)> {
    let part = store.part(&download.pin).map_err(|fault| (fault, false))?;
    let connected = client.get().map_err(|fault| (fault, false))?;
    let mut body = Body::new(resume::Resumable::new(connected, url, part, download.size, task), download, task);
    let outcome = receive(download, &mut body, store, Destination::Part);
    let spliced = body.source().is_spliced();
    match outcome {
        Err(Fault::Wrong(_)) => store.forget_part(&download.pin),
        Err(_) => store.forget_empty_part(&download.pin),
        Ok(_) => {}
    }
    outcome.map_err(|fault| (fault, spliced))
}

/// Where the bytes of a body are stored while they are read.
#[derive(Clone, Copy)]
enum Destination {
    /// In the part file, to which [`resume::Resumable`] has written them.
    Part,
    /// In a temporary file, written by [`receive`].
    Temporary,
}

/// Reads a whole body, checks it, and adds the components in it to the store.
fn receive<R: std::io::Read>(
    download: &Download,
    body: &mut Body<'_, R>,
    store: &Store,
    destination: Destination,
) -> Result<Found, Fault> {
    match &download.content {
        Content::Binary(member) => {
            let staged = match destination {
                Destination::Part => body.drain().map(|()| store.finished_part(&download.pin)),
                Destination::Temporary => store.stage(body),
            };
            let staged = staged.map_err(|why| body.fault(why))?;
            let sha256 = match body.verify()? {
                Pin::Sha256(sha256) => sha256,
                // The store names files by their SHA-256, and remembers which file another digest stands for.
                pin @ Pin::Sha512(_) => {
                    let sha256 = staged.sha256()?;
                    store.remember_archive(&pin, &BTreeMap::from([(member.path.clone(), sha256)]))?;
                    sha256
                }
            };
            let blob = admit(member, store, &staged, sha256)?;
            Ok(vec![(member.component.clone(), blob)])
        }
        Content::Image(_) => Err(Fault::Wrong("an image is several files".to_owned())),
        Content::Archive(members) => {
            let extracted =
                extract::members(MultiGzDecoder::new(&mut *body), members, store).map_err(|why| body.fault(why))?;
            let pin = body.verify()?;
            let missing: Vec<_> = members
                .iter()
                .filter(|member| !extracted.contains_key(&member.path))
                .map(|member| member.path.as_str())
                .collect();
            if !missing.is_empty() {
                return Err(Fault::Wrong(format!("the archive has no `{}`", missing.join("`, `"))));
            }
            // A file becomes one blob, even if several components are made of it.
            let mut index = store.archive(&pin).unwrap_or_default();
            let mut found = Found::new();
            for (path, (file, sha256)) in extracted {
                let named: Vec<_> = members.iter().filter(|member| member.path == path).collect();
                let Some(first) = named.first() else { continue };
                let blob = admit(first, store, &file, sha256)?;
                found.extend(named.iter().map(|member| (member.component.clone(), blob.clone())));
                index.insert(path, sha256);
            }
            store.remember_archive(&pin, &index)?;
            store.forget_part(&download.pin);
            Ok(found)
        }
    }
}

fn admit(member: &Member, store: &Store, file: &store::StagedFile, sha256: Sha256) -> Result<Blob, Fault> {
    let checked = match member.kind {
        Kind::Program => file.head().and_then(|head| elf::check(&head).map_err(std::io::Error::other)),
        Kind::File | Kind::Image => Ok(()),
    };
    checked.map_err(|why| Fault::Wrong(format!("`{}`: {why}", member.component)))?;
    store.admit(file, sha256)
}
