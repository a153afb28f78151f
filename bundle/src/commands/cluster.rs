//! What most commands begin with: `cluster.toml`, its recipe, their plan, and where everything lies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use super::Console;
use crate::cli::{ClusterArgs, SourceArgs};
use crate::fetch::{Policy, Sources, Store};
use crate::hash::Sha256;
use crate::plan::{self, BuildInfo, Plan};
use crate::progress::Progress;
use crate::recipe::{self, Recipe};
use crate::spec::{ClusterSpec, Compression, DebLayout, Format, RecipeRef, SeedImage, SeedLayout};
use crate::{Error, assemble, clock, pki};

/// A cluster that can be built.
pub(super) struct Cluster {
    pub(super) plan: Plan,
    /// Where `cluster.toml` lies.
    base: PathBuf,
    /// Beside it.
    pki: PathBuf,
    spec: ClusterSpec,
    recipe: Recipe,
    epoch: Option<OffsetDateTime>,
}

/// What the command line says instead of the file.
#[derive(Debug, Default)]
pub(super) struct Overrides<'a> {
    pub(super) formats: &'a [Format],
    pub(super) deb_layout: Option<DebLayout>,
    pub(super) deb_compression: Option<Compression>,
    pub(super) seed: Option<SeedLayout>,
    pub(super) seed_image: Option<SeedImage>,
}

impl Cluster {
    /// Reads and plans; warnings are shown.
    pub(super) fn load(args: &ClusterArgs, instead: &Overrides<'_>, console: &Console) -> Result<Self, Error> {
        let formats = instead.formats;
        let epoch = clock::source_date_epoch().map_err(Error::Usage)?;
        let text = read(&args.cluster)?;
        let name = args.cluster.display().to_string();
        let (mut spec, warnings) = ClusterSpec::parse(&name, &text).map_err(Error::Spec)?;
        console.warn(&warnings);
        if !formats.is_empty() {
            spec.formats = formats.iter().copied().collect();
        }
        spec.deb.layout = instead.deb_layout.unwrap_or(spec.deb.layout);
        spec.deb.compression = instead.deb_compression.unwrap_or(spec.deb.compression);
        spec.seed.image = instead.seed_image.unwrap_or(spec.seed.image);
        spec.seed.layout = instead.seed.unwrap_or(spec.seed.layout);
        if let Some(why) = spec.contradiction() {
            return Err(Error::Usage(why.to_owned()));
        }
        let base = args.cluster.parent().map(Path::to_owned).unwrap_or_default();
        // On the command line a directory is relative to where the user stands; in the file, to the file.
        let recipe = match &args.recipe {
            Some(reference) => load_recipe(reference, Path::new(""))?,
            None => load_recipe(&spec.recipe, &base)?,
        };
        let plan = plan::plan(&spec, &recipe, BuildInfo { epoch, revision: 1 })?;
        let mut cluster = Self { plan, pki: base.join("pki"), base, spec, recipe, epoch };
        if cluster.uses_revision_counter() {
            // A build says why it can't count; whoever only looks, at another's directory even, is shown the rest.
            if let Err(why) = cluster.number() {
                console
                    .progress()
                    .warn(&format!("builds can't be counted, so versions of packages are not known: {why}"));
            }
        }
        Ok(cluster)
    }

    /// Whether the version of a package depends on the builds before.
    fn uses_revision_counter(&self) -> bool {
        self.spec.packs(Format::Deb) && self.spec.deb.revision.is_none()
    }

    /// Plans again with the number that a bundle of what is here now has.
    fn number(&mut self) -> Result<(), Error> {
        let revision = pki::revision::number(&self.pki, self.content()?)?;
        self.plan = plan::plan(&self.spec, &self.recipe, BuildInfo { epoch: self.epoch, revision })?;
        Ok(())
    }

    /// Makes sure that keys and certificates are as they will be packed, if there was a build before, and takes a number
    /// for them: a token or a certificate whose time is over is replaced by the next build, which makes it another.
    pub(super) fn assign_revision(&mut self, jobs: usize, progress: &dyn Progress) -> Result<(), Error> {
        if self.uses_revision_counter() && pki::revision::is_counted(&self.pki) {
            pki::issue(&self.plan.pki, &self.pki(jobs, &BTreeSet::new()), progress)?;
            self.number()?;
            self.record_revision()?;
        }
        Ok(())
    }

    /// A digest over all that the packages of this cluster are made of.
    fn content(&self) -> Result<Sha256, Error> {
        let deb = &self.spec.deb;
        let how = format!("{:?} {:?} {}", deb.layout, deb.compression, env!("CARGO_PKG_VERSION"));
        let rest = [self.plan.content_digest(), assemble::package::scripts_digest(), Sha256::of(how.as_bytes())];
        Ok(pki::revision::content(&self.plan.pki, &self.pki, &self.base, &rest)?)
    }

    /// Remembers that this was built under its number.
    pub(super) fn record_revision(&self) -> Result<(), Error> {
        if self.uses_revision_counter() {
            pki::revision::record(&self.pki, self.plan.revision, self.content()?)?;
        }
        Ok(())
    }

    /// What [`pki`] works with.
    pub(super) fn pki<'a>(&'a self, jobs: usize, renew: &'a BTreeSet<String>) -> pki::PkiContext<'a> {
        pki::PkiContext { directory: &self.pki, base: &self.base, now: clock::now(), jobs, renew }
    }
}

/// Loads a recipe; a directory is relative to `base`.
pub(super) fn load_recipe(reference: &RecipeRef, base: &Path) -> Result<Recipe, Error> {
    Ok(match reference {
        RecipeRef::Embedded(name) => recipe::embedded::load(name)?,
        RecipeRef::Directory(directory) => recipe::files::load(&name_of(directory), &base.join(directory))?,
    })
}

/// The last part of the path: where a recipe lies is no property of what is built from it.
fn name_of(directory: &Path) -> String {
    directory.file_name().map_or_else(|| "recipe".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[expect(clippy::disallowed_methods, reason = "reads the file the user named")]
fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::ReadSpec { path: path.to_owned(), source })
}

/// The store every build of this user shares.
pub(super) fn store() -> Result<Store, Error> {
    let cache = clock::variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| clock::variable("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let cache =
        cache.ok_or_else(|| Error::Usage("neither XDG_CACHE_HOME nor HOME says where the store is".to_owned()))?;
    Ok(Store::open(cache.join("kube-bundle"))?)
}

/// As many threads as asked for, or as there are processors.
pub(super) fn jobs(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(2, usize::from), usize::from)
}

/// Where files come from, as the arguments say.
#[expect(clippy::disallowed_methods, reason = "a command looks at the directories that it is given")]
pub(super) fn sources(args: &SourceArgs) -> Result<Sources, Error> {
    use crate::fetch::mirror::Mirror;
    if args.offline && args.from.iter().any(|mirror| matches!(mirror, Mirror::Url(_))) {
        return Err(Error::Usage("`--offline` never touches the network, and `--from` names a URL".to_owned()));
    }
    let absent = args.from.iter().find_map(|mirror| match mirror {
        Mirror::Directory(directory) if !directory.is_dir() => Some(directory.display()),
        _ => None,
    });
    if let Some(directory) = absent {
        return Err(Error::Usage(format!("`--from {directory}` is no directory, and no http:// or https:// URL")));
    }
    Ok(Sources {
        mirrors: args.from.clone(),
        offline: args.offline,
        // Whoever waits for a network or a disk leaves the processors to others.
        jobs: args.jobs.map_or_else(|| jobs(None).max(4), usize::from),
        policy: Policy { idle: Duration::from_secs(args.timeout), retries: args.retries, ..Policy::default() },
    })
}
