//! `kube-bundle recipe list`, `show`, `export` and `pin`

use std::fmt::Write as _;
use std::path::Path;

use super::Console;
use super::cluster::load_recipe;
use super::table::{Table, table};
use crate::Error;
use crate::hash::Pin;
use crate::pin as pinner;
use crate::printable::Tone;
use crate::progress::bytes;
use crate::recipe::component::{Kind, Publisher};
use crate::recipe::description::Description;
use crate::recipe::{Recipe, Summary, embedded, files};
use crate::spec::RecipeRef;

pub(super) fn list(console: &Console) -> Result<(), Error> {
    let all = embedded::names().map(|name| embedded::load(name).map(|recipe| Summary::from(&recipe)));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    console.result(&all, || {
        let row = |recipe: &Summary| {
            vec![recipe.name.clone(), recipe.version.clone(), recipe.arch.clone(), recipe.digest.to_string()]
        };
        let header = ["NAME", "KUBERNETES", "ARCH", "SHA256"];
        let tone = |_, column| if column == 0 { Tone::Name } else { Tone::Plain };
        Table { header: &header, rows: all.iter().map(row).collect(), paint: console.paint, ..Table::default() }
            .text(tone)
    })
}

pub(super) fn show(reference: &RecipeRef, console: &Console) -> Result<(), Error> {
    let recipe = load_recipe(reference, Path::new(""))?;
    console.result(&Description::of(&recipe), || text(&recipe))
}

fn text(recipe: &Recipe) -> String {
    let release = &recipe.release;
    let mut text = format!("Recipe {}, Kubernetes {}, linux/{}\n\n", recipe.name, release.version, release.arch);
    let archives = release.archives.iter().map(|(name, archive)| {
        let kind = if archive.image.is_some() { "image" } else { "archive" };
        vec![name.clone(), kind.to_owned(), digest(archive.pin()), publishers(&archive.sources)]
    });
    let components = release.components.iter().map(|(name, component)| {
        let kind = match (&component.archive, component.kind) {
            (Some(archive), _) => format!("in {archive}"),
            (None, Kind::Image) => "image".to_owned(),
            (None, Kind::Program | Kind::File) => "file".to_owned(),
        };
        vec![name.clone(), kind, digest(component.pin()), publishers(&component.sources)]
    });
    text += &table(&["NAME", "KIND", "PIN", "SOURCE OF PIN"], &archives.chain(components).collect::<Vec<_>>());
    text += "\nComponents\n";
    let components = release.components.iter().map(|(name, component)| {
        let (version, _) = release.version_of(component);
        let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            name.clone(),
            version.to_owned(),
            component.package(name).to_owned(),
            known(&component.license),
            known(&component.upstream),
        ]
    });
    text += &table(&["NAME", "VERSION", "PACKAGE", "LICENSE", "UPSTREAM"], &components.collect::<Vec<_>>());
    text += "\nRoles\n";
    let roles = recipe.roles.iter().map(|(name, role)| {
        let components: Vec<_> = role.components.iter().map(String::as_str).collect();
        let optional = role.optional.iter().flat_map(|part| &part.install.units);
        let units = role.install.units.iter().cloned().chain(optional.map(|unit| format!("{unit} (optional)")));
        vec![name.to_string(), components.join(", "), units.collect::<Vec<_>>().join(", ")]
    });
    text += &table(&["ROLE", "COMPONENTS", "UNITS"], &roles.collect::<Vec<_>>());
    text += "\nFlag tables\n";
    let flags = recipe.flags.iter().map(|(binary, table)| {
        let (all, deprecated) = table.counts();
        vec![binary.clone(), all.to_string(), deprecated.to_string()]
    });
    text += &table(&["BINARY", "FLAGS", "DEPRECATED"], &flags.collect::<Vec<_>>());
    text += "\nFiles\n";
    for (path, file) in recipe.files.iter() {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{path} ({} lines)", file.lines().count());
    }
    text
}

fn digest(pin: Option<Pin>) -> String {
    pin.map_or_else(|| "by its archive".to_owned(), |pin| pin.to_string())
}

fn publishers(sources: &[Publisher]) -> String {
    sources.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

pub(super) fn export(reference: &RecipeRef, directory: &Path, console: &Console) -> Result<(), Error> {
    let recipe = load_recipe(reference, Path::new(""))?;
    files::export(&recipe, directory)?;
    console.note(&format!(
        "Name it in cluster.toml, relative to that file: recipe = \"./{}\"",
        directory.file_name().unwrap_or_default().to_string_lossy()
    ));
    console.result(&directory, || directory.display().to_string())
}

/// A version goes into names of packages and into the SBOM, where a wrong one is looked up in vain.
fn differs(other: &[(String, String)], directory: &Path) -> String {
    let names: Vec<_> = other.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "warning: nothing says that these files are of the version that the recipe gives them: {}\n  fix: if one is of another version, change `version`, `purl`, `cpe` and `supplier` in {}",
        names.join(", "),
        directory.join("recipe.toml").display()
    )
}

pub(super) fn pin(directory: &Path, from: &Path, console: &Console) -> Result<(), Error> {
    let pinner::Outcome { pinned, missing, other } = pinner::pin(directory, from)?;
    let from = from.display();
    if !missing.is_empty() {
        console.note(&format!("Not in {from}, and pinned as before: {}", missing.join(", ")));
    }
    if !other.is_empty() {
        console.note(&differs(&other, directory));
    }
    console.note(&format!("The recipe holds digests, not files; next: `kube-bundle build --offline --from {from}`"));
    console.result(&pinned, || {
        let row =
            |pin: &pinner::Pinned| vec![pin.component.clone(), bytes(pin.size).to_string(), pin.sha256.to_string()];
        table(&["COMPONENT", "SIZE", "SHA256"], &pinned.iter().map(row).collect::<Vec<_>>())
    })
}
