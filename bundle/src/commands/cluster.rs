//! What most commands begin with: `cluster.toml`, its recipe, their plan, and where everything lies.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use super::Console;
use crate::cli::{ClusterArgs, OutputArgs, SourceArgs};
use crate::debian::Dpkg;
use crate::diagnostic::Faults;
use crate::fetch::{Policy, Sources, Store};
use crate::plan::{self, UnnumberedPlan};
use crate::recipe::{self, Recipe};
use crate::spec::{ClusterSpec, Compression, DebLayout, Format, RecipeRef, SeedImage, SeedLayout, recipe_ref};
use crate::{Error, clock, pki};

/// A cluster and its recipe, and where its keys are.
pub(super) struct Cluster {
    pub(super) spec: ClusterSpec,
    pub(super) recipe: Recipe,
    /// `SOURCE_DATE_EPOCH`, where the environment has it.
    pub(super) date: Option<OffsetDateTime>,
    /// The directory of `cluster.toml`.
    base: PathBuf,
    /// Beside it.
    pki: PathBuf,
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
    /// Reads `cluster.toml` and its recipe, for a command that is about something else: warnings are not shown.
    pub(super) fn load(args: &ClusterArgs, instead: &Overrides<'_>) -> Result<Self, Error> {
        Ok(Self::read(args, instead)?.0)
    }

    /// The same for a command that shows what the cluster is to be; warnings are shown.
    pub(super) fn judge(args: &ClusterArgs, instead: &Overrides<'_>, console: &Console) -> Result<Self, Error> {
        let (cluster, warnings) = Self::read(args, instead)?;
        console.warn(&warnings);
        Ok(cluster)
    }

    /// The same, with the warnings.
    pub(super) fn read(args: &ClusterArgs, instead: &Overrides<'_>) -> Result<(Self, Faults), Error> {
        let date = clock::source_date_epoch().map_err(Error::Usage)?;
        let text = read(&args.cluster)?;
        let base = args.cluster.parent().map(Path::to_owned).unwrap_or_default();
        // On the command line a directory is relative to where the user stands; in the file, to the file.
        let named = if args.recipe.is_none() { recipe_ref::find(&text) } else { None };
        let recipe = match (&args.recipe, &named) {
            (Some(reference), _) => load_recipe(reference, Path::new("")),
            (None, Some((reference, _))) => load_recipe(reference, &base),
            (None, None) => default_recipe(),
        };
        // Errors of the file come first: one of them may be the recipe's name.
        let roles = recipe.as_ref().map_or_else(
            |_| Ok(default_recipe()?.role_catalog().and_others()),
            |it| Ok::<_, Error>(it.role_catalog()),
        )?;
        let name = args.cluster.display().to_string();
        let parsed = ClusterSpec::parse(&name, &text, &roles);
        let parsed = match (&recipe, named) {
            (Err(Error::Recipe(why)), Some((reference, span))) if why.is_absent() => {
                let mut faults = parsed.map_or_else(|faults| faults.diagnostics, |_| Vec::new());
                faults.push(recipe_ref::unknown(&reference, span, recipe::embedded::names()));
                Err(Faults::new(&name, &text, faults))
            }
            _ => parsed,
        };
        let (mut spec, warnings) = parsed.map_err(Error::Spec)?;
        instead.apply(&mut spec)?;
        Ok((Self { spec, recipe: recipe?, date, pki: base.join("pki"), base }, warnings))
    }

    /// Plans the cluster, as every command that needs a plan does.
    pub(super) fn plan(&self) -> Result<UnnumberedPlan<'_>, Error> {
        Ok(plan::plan(&self.spec, &self.recipe, &Dpkg, self.date)?)
    }

    /// The output directory: the one asked for, or `out/` with the name of the cluster.
    pub(super) fn out(&self, asked: Option<&Path>) -> PathBuf {
        asked.map_or_else(|| Path::new("out").join(self.spec.name.as_str()), Path::to_owned)
    }

    /// The directories, the time and the options that [`pki`] needs.
    pub(super) fn pki<'a>(&'a self, jobs: usize, renew: &'a BTreeSet<String>) -> pki::PkiContext<'a> {
        let (directory, base, now) = (&self.pki, &self.base, clock::now());
        pki::PkiContext { directory, base, now, jobs, renew, passphrase: None }
    }
}

impl<'a> Overrides<'a> {
    pub(super) fn of(args: &'a OutputArgs) -> Self {
        let OutputArgs { out: _, format, deb_layout, deb_compression, seed, seed_image, sign: _, passphrase_file: _ } =
            args;
        Self {
            formats: format,
            deb_layout: *deb_layout,
            deb_compression: *deb_compression,
            seed: *seed,
            seed_image: *seed_image,
        }
    }

    fn apply(&self, spec: &mut ClusterSpec) -> Result<(), Error> {
        if !self.formats.is_empty() {
            spec.formats = self.formats.iter().copied().collect();
        }
        spec.deb.layout = self.deb_layout.unwrap_or(spec.deb.layout);
        spec.deb.compression = self.deb_compression.unwrap_or(spec.deb.compression);
        spec.seed.image = self.seed_image.unwrap_or(spec.seed.image);
        spec.seed.layout = self.seed.unwrap_or(spec.seed.layout);
        spec.contradiction().map_or(Ok(()), |why| Err(Error::Usage(why.to_owned())))
    }
}

/// The recipe whose roles are assumed where `cluster.toml` names none that can be loaded.
pub(super) fn default_recipe() -> Result<Recipe, Error> {
    Ok(recipe::embedded::load("v1.16.0")?)
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
pub(super) fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| match source.kind() {
        ErrorKind::IsADirectory => {
            let inside = path.join("cluster.toml");
            let hint = if inside.is_file() {
                format!("name the file in it: `-c {}`", inside.display())
            } else {
                format!("`-c FILE` names a file; `kube-bundle init {}` writes one to start from", inside.display())
            };
            Error::NotASpec { path: path.to_owned(), why: "is a directory", hint }
        }
        ErrorKind::InvalidData => Error::NotASpec {
            path: path.to_owned(),
            why: "is not text in UTF-8",
            hint: "save it as UTF-8; `kube-bundle init` writes a file to start from".to_owned(),
        },
        _ => Error::ReadSpec { path: path.to_owned(), source },
    })
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

/// Whether there is a directory or a file to read from.
#[expect(clippy::disallowed_methods, reason = "a command looks at the directories that it is given")]
pub(super) fn is_source(path: &Path) -> bool {
    path.is_dir() || path.is_file()
}

/// Where files come from, as the arguments say.
pub(super) fn sources(args: &SourceArgs) -> Result<Sources, Error> {
    use crate::fetch::mirror::Mirror;
    if args.offline && args.from.iter().any(|mirror| matches!(mirror, Mirror::Url(_))) {
        return Err(Error::Usage("`--offline` never touches the network, and `--from` names a URL".to_owned()));
    }
    let absent = args.from.iter().find_map(|mirror| match mirror {
        Mirror::Directory(path) if !is_source(path) => Some(path.display()),
        _ => None,
    });
    if let Some(directory) = absent {
        return Err(Error::Usage(format!(
            "`--from {directory}` is no directory or image archive, and no http:// or https:// URL"
        )));
    }
    Ok(Sources {
        mirrors: args.from.clone(),
        offline: args.offline,
        // Whoever waits for a network or a disk leaves the processors to others.
        jobs: args.jobs.map_or_else(|| jobs(None).max(4), usize::from),
        policy: Policy { idle: Duration::from_secs(args.timeout), retries: args.retries, ..Policy::default() },
    })
}
