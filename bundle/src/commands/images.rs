//! `kube-bundle images pin`

use std::path::Path;

use super::Console;
use super::cluster::{is_source, read};
use super::table::table;
use crate::fetch::image_archive::{HeldImage, images_in};
use crate::pin::images::{Edited, PinnedImage, edit};
use crate::{Error, out};

pub(super) fn pin(cluster: &Path, from: &Path, console: &Console) -> Result<(), Error> {
    let failed = |faults| Error::PinImages { cluster: cluster.to_owned(), faults };
    if !is_source(from) {
        return Err(Error::Usage(format!("`--from {}` is no directory or image archive", from.display())));
    }
    let text = read(cluster)?;
    let (held, unreadable) = images_in(from);
    let Edited { text: edited, pinned, missing } = edit(&text, &held).map_err(failed)?;
    if !missing.is_empty() && !unreadable.is_empty() {
        return Err(failed(unreadable));
    }
    if pinned.is_empty() {
        return Err(failed(vec![nothing(from, &held, !missing.is_empty())]));
    }
    for why in &unreadable {
        console.note(&format!("Not read: {why}"));
    }
    if edited != text {
        out::replace(cluster, edited.as_bytes()).map_err(|source| Error::Io {
            verb: "write",
            path: cluster.to_owned(),
            source,
        })?;
    }
    let from = from.display();
    if !missing.is_empty() {
        let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        console.note(&format!("Not in {from}, and as before: {}", missing.join(", ")));
    }
    console.note(&format!("The file holds digests, not images; next: `kube-bundle build --from {from}`"));
    console.result(&pinned, || {
        let row =
            |pin: &PinnedImage| vec![pin.name.to_string(), pin.sha256.to_string(), pin.from.display().to_string()];
        table(&["IMAGE", "SHA256", "FROM"], &pinned.iter().map(row).collect::<Vec<_>>())
    })
}

/// Says what there is instead: names are completed, so the one in the file may be meant and be another.
fn nothing(from: &Path, held: &[HeldImage], asked: bool) -> String {
    let names: Vec<_> = held.iter().filter_map(|image| Some(format!("\n    {}", image.name.as_ref()?))).collect();
    let nameless = held.iter().filter(|image| image.name.is_none());
    let nameless: Vec<_> = nameless.map(|image| format!("\n    without a name, sha256:{}", image.sha256)).collect();
    let asked = if asked {
        "none of the images that `[images] extra` names is"
    } else {
        "`[images] extra` names none of the images"
    };
    let from = from.display();
    match [names, nameless].concat() {
        there if there.is_empty() => format!("{asked} in `{from}`, which holds none"),
        there => format!("{asked} in `{from}`, which holds{}", there.concat()),
    }
}
