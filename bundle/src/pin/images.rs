//! `images pin`: digests of images that the user holds, written into `[images] extra` of a `cluster.toml`.

use std::path::PathBuf;

use serde::Serialize;
use toml_edit::{DocumentMut, Value};

use crate::fetch::image_archive::HeldImage;
use crate::hash::Sha256;
use crate::spec::{ImageName, ImageReference};

/// An image whose digest is in the file now.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PinnedImage {
    pub name: ImageName,
    /// Of the manifest, or of a list of manifests.
    pub sha256: Sha256,
    /// The directory or archive that has it.
    pub from: PathBuf,
}

/// The file's new text, the images that were pinned, and those that nothing was found for, whose entries are as before.
#[derive(Debug, PartialEq, Eq)]
pub struct Edited {
    pub text: String,
    pub pinned: Vec<PinnedImage>,
    pub missing: Vec<ImageName>,
}

/// Gives each name in `[images] extra`, with a digest or without, the digest of the image of that name among `held`.
///
/// # Errors
/// A text that can't be edited, names that are none, and two different images of one name: one line for each.
pub fn edit(text: &str, held: &[HeldImage]) -> Result<Edited, Vec<String>> {
    let mut document: DocumentMut = text.parse().map_err(|why| vec![format!("{why}")])?;
    let (mut pinned, mut missing, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let extra = document.get_mut("images").and_then(|images| images.get_mut("extra")).and_then(|it| it.as_array_mut());
    for entry in extra.into_iter().flat_map(|extra| extra.iter_mut()) {
        match find(entry, held) {
            Ok((name, Some(image))) => {
                let reference = ImageReference { name: name.clone(), digest: image.sha256 };
                replace(entry, &reference.to_string());
                pinned.push(PinnedImage { name, sha256: image.sha256, from: image.from.clone() });
            }
            Ok((name, None)) => missing.push(name),
            Err(why) => faults.push(why),
        }
    }
    if faults.is_empty() { Ok(Edited { text: document.to_string(), pinned, missing }) } else { Err(faults) }
}

/// The name in an entry, and the image that has it.
fn find<'h>(entry: &Value, held: &'h [HeldImage]) -> Result<(ImageName, Option<&'h HeldImage>), String> {
    let text = entry.as_str().ok_or_else(|| format!("expected a string in `[images] extra`, got{entry}"))?;
    let name = text.split('@').next().unwrap_or(text);
    let name: ImageName = name.parse().map_err(|why| format!("`{text}`: {why}"))?;
    let mut found = held.iter().filter(|image| image.name.as_ref() == Some(&name));
    let first = found.next();
    match (first, found.find(|other| first.is_some_and(|first| first.sha256 != other.sha256))) {
        (Some(first), Some(other)) => Err(format!(
            "`{name}` is one image in `{}`, and another in `{}`",
            first.from.display(),
            other.from.display()
        )),
        _ => Ok((name, first)),
    }
}

/// Comments and white space around the entry are the user's, and stay.
fn replace(entry: &mut Value, text: &str) {
    let decor = entry.decor().clone();
    *entry = Value::from(text);
    *entry.decor_mut() = decor;
}
