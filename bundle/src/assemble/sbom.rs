//! What is in a bundle, listed for programs: each program, image and file with its digest, what is linked into it, where it
//! comes from, and at which place of which artifact it is.
//!
//! Digests of files with secrets are in no list: of a short secret, one would be enough to guess it.

mod cyclonedx;
mod spdx;

use std::collections::{BTreeMap, BTreeSet};

use super::Ingredients;
use crate::artifact::{Written, WrittenFiles};
use crate::golang::Library;
use crate::hash::{Pin, Sha256};
use crate::manifest;
use crate::manifest::origin::Origin;
use crate::plan::downloads::{Content, Identity, ImageContent, Member};
use crate::plan::output::Standard;
use crate::plan::{Download, Plan};
use crate::recipe::component::{Kind as ComponentKind, Publisher};
use crate::spec::ImageReference;

/// The list of everything that was `written`, in this standard.
pub(super) fn document(standard: Standard, from: Ingredients<'_>, written: &WrittenFiles) -> String {
    let inventory = Inventory::of(from, written);
    match standard {
        Standard::CycloneDx => cyclonedx::render(&inventory),
        Standard::Spdx => spdx::render(&inventory),
    }
}

/// Everything that a list has, whatever its standard.
struct Inventory<'a> {
    plan: &'a Plan,
    /// Follows from the content, so that the same bundle has the same lists.
    uuid: String,
    parts: Vec<Part<'a>>,
}

/// Kinds of parts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A downloaded program.
    Program,
    /// A downloaded file.
    Download,
    Image,
    /// A layer or the configuration of an image.
    Layer,
    /// An archive, package or medium.
    Artifact,
    /// Another file that this program has written.
    File,
}

/// One thing that is in the bundle, maybe at several places.
struct Part<'a> {
    /// Unique in the list.
    id: String,
    kind: Kind,
    name: String,
    version: Option<String>,
    /// `None`: it holds a secret.
    sha256: Option<Sha256>,
    identity: Identity,
    purl: Option<String>,
    download: Option<&'a Download>,
    places: Vec<Place<'a>>,
    /// What is linked into it; `None` if nothing is known.
    libraries: Option<Vec<Library>>,
    /// The layers of an image, as indices into the parts.
    layers: Vec<usize>,
}

/// Where a part is: a file of the bundle, or a path inside one.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a str,
    inside: Option<&'a str>,
}

impl Place<'_> {
    fn text(&self) -> String {
        self.inside.map_or_else(|| self.file.to_owned(), |inside| format!("{}:{inside}", self.file))
    }
}

impl Part<'_> {
    fn new(kind: Kind, id: String, name: String, sha256: Option<Sha256>) -> Self {
        let identity = Identity::default();
        let (purl, download, libraries, version) = (None, None, None, None);
        Self {
            id,
            kind,
            name,
            version,
            sha256,
            identity,
            purl,
            download,
            places: Vec::new(),
            libraries,
            layers: Vec::new(),
        }
    }

    /// Where its bytes come from, if they were downloaded.
    fn origin(&self) -> Option<Origin> {
        self.download.map(Origin::of)
    }
}

impl<'a> Inventory<'a> {
    fn of(from: Ingredients<'a>, written: &'a WrittenFiles) -> Self {
        let mut parts = downloads(from);
        let packed = written.iter().filter(|(_, it)| it.entries.is_some());
        parts.extend(packed.map(|(path, it)| {
            let sha256 = Some(it.file.sha256());
            Part {
                places: vec![Place { file: path, inside: None }],
                ..Part::new(Kind::Artifact, path.clone(), path.clone(), sha256)
            }
        }));
        Finder::new(&mut parts).place_all(written);
        Self { plan: from.plan, uuid: uuid(from.plan, written), parts }
    }
}

/// Programs, images and their layers.
fn downloads(from: Ingredients<'_>) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for download in &from.plan.content.downloads {
        parts.extend(download.members().iter().filter_map(|member| program(download, member, from)));
        if let Content::Image(content) = &download.content
            && content.members.is_empty()
        {
            image(download, content, from, &mut parts);
        }
    }
    parts
}

fn program<'a>(download: &'a Download, member: &'a Member, from: Ingredients<'a>) -> Option<Part<'a>> {
    let sha256 = from.blobs.get(&member.component)?.sha256();
    let kind = if member.kind == ComponentKind::Program { Kind::Program } else { Kind::Download };
    let purl = member.identity.purl.clone();
    let own = purl.as_deref().and_then(|purl| purl.strip_prefix("pkg:golang/")?.split('@').next());
    let libraries = from.linked.get(&sha256).map(|linked| linked.libraries(own));
    Some(Part {
        version: Some(member.version.clone()),
        identity: member.identity.clone(),
        purl,
        download: Some(download),
        libraries,
        ..Part::new(kind, format!("component/{}", member.component), member.component.clone(), Some(sha256))
    })
}

fn image<'a>(download: &'a Download, content: &'a ImageContent, from: Ingredients<'a>, parts: &mut Vec<Part<'a>>) {
    let Pin::Sha256(digest) = download.pin else { return };
    let reference = ImageReference { name: content.name.clone(), digest };
    let Some(image) = from.blobs.image(&reference) else { return };
    let mut layers = Vec::new();
    for blob in &image.content {
        let id = format!("layer/{}", blob.sha256());
        // Images may share layers.
        let known = parts.iter().position(|part| part.id == id);
        layers.push(known.unwrap_or_else(|| {
            parts.push(Part::new(Kind::Layer, id, format!("sha256:{}", blob.sha256()), Some(blob.sha256())));
            parts.len() - 1
        }));
    }
    parts.push(Part {
        version: Some(content.name.tag().to_owned()),
        purl: Some(content.name.purl(digest)),
        download: Some(download),
        layers,
        ..Part::new(
            Kind::Image,
            format!("image/{reference}"),
            content.name.without_tag(),
            Some(image.manifest.sha256()),
        )
    });
}

/// Knows parts by their digest.
struct Finder<'p, 'a> {
    parts: &'p mut Vec<Part<'a>>,
    known: BTreeMap<Sha256, Vec<usize>>,
}

impl<'p, 'a> Finder<'p, 'a> {
    fn new(parts: &'p mut Vec<Part<'a>>) -> Self {
        let mut known: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (index, sha256) in parts.iter().enumerate().filter_map(|(index, part)| Some((index, part.sha256?))) {
            known.entry(sha256).or_default().push(index);
        }
        Self { parts, known }
    }

    /// Notes every file, and every file inside of one.
    fn place_all(&mut self, written: &'a WrittenFiles) {
        for (file, it) in written {
            match &it.entries {
                None => self.place(loose(it), Place { file, inside: None }),
                Some(entries) => {
                    for (path, member) in entries.iter().filter(|(_, member)| member.sha256.is_some()) {
                        self.place(public_digest(member), Place { file, inside: Some(path) });
                    }
                }
            }
        }
    }

    /// A file of one content is one part, wherever it is; one with a secret is a part of its own.
    fn place(&mut self, sha256: Option<Sha256>, place: Place<'a>) {
        let indexes = sha256.and_then(|sha256| self.known.get(&sha256).cloned()).unwrap_or_else(|| {
            let id = sha256.map_or_else(|| format!("secret/{}", place.text()), |sha256| format!("file/{sha256}"));
            let name = place.inside.unwrap_or(place.file).to_owned();
            self.parts.push(Part::new(Kind::File, id, name, sha256));
            let index = vec![self.parts.len() - 1];
            if let Some(sha256) = sha256 {
                self.known.insert(sha256, index.clone());
            }
            index
        });
        for index in indexes {
            self.parts[index].places.push(place);
        }
    }
}

/// The digest of a file that lies in the output as it is; `None` for one with a secret.
fn loose(written: &Written) -> Option<Sha256> {
    (!written.file.mode().hides()).then(|| written.file.sha256())
}

/// Artifacts that hold keys among much else are found by their digest; files with nothing but a secret have none here.
fn public_digest(member: &manifest::Member) -> Option<Sha256> {
    member.sha256.filter(|_| !member.mode.hides())
}

/// An identifier of the content (RFC 9562, version 8): the lists of another content have another one.
fn uuid(plan: &Plan, written: &WrittenFiles) -> String {
    let files: BTreeSet<_> = written.iter().map(|(path, it)| format!("{}  {path}\n", it.file.sha256())).collect();
    let digest = Sha256::of(format!("kube-bundle sbom\n{}\n{}", plan.digest(), String::from_iter(files)).as_bytes());
    let mut bytes: [u8; 16] = std::array::from_fn(|index| digest.as_bytes()[index]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The digests of a part by the names that a standard has for the algorithms: those of the file itself.
fn digests(part: &Part<'_>) -> Vec<(&'static str, String)> {
    let pinned = part.download.filter(|download| matches!(download.content, Content::Binary(_)));
    let sha512 = match pinned.map(|download| download.pin) {
        Some(Pin::Sha512(sha512)) => Some(("SHA-512", sha512.to_string())),
        _ => None,
    };
    part.sha256.map(|sha256| ("SHA-256", sha256.to_string())).into_iter().chain(sha512).collect()
}

/// What the bytes of a part were verified against, and who published that.
fn pin_source(origin: &Origin) -> String {
    let publishers: Vec<_> = origin.publishers.iter().map(ToString::to_string).collect();
    let publishers = if publishers.is_empty() { "the recipe alone".to_owned() } else { publishers.join("; ") };
    // A statement says itself what was done.
    let by = if matches!(origin.publishers.first(), Some(Publisher::Statement(_))) { "" } else { "by " };
    format!("{}, {by}{publishers}", origin.pin)
}
