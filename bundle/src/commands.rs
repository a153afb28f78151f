//! From arguments to library calls to stdout: one file for each command.

mod attempt;
mod audit;
mod build;
mod cluster;
mod complete;
mod console;
mod demo;
mod diff;
mod export;
mod images;
mod import;
mod init;
mod inspect;
mod pki;
mod plan;
mod rebuild;
mod recipe;
mod reference;
mod registry;
mod serve;
mod sign;
mod store;
mod table;
mod usage;
mod verify;

pub use complete::{VARIABLE, complete};
pub use console::Console;
pub use usage::refuse;

use crate::Error;
use crate::cli::{Cli, Command, ImagesCommand, PkiCommand, RecipeCommand, StoreCommand, TrustCommand};
use crate::error::ExitCode;
use crate::serve::Secrets;

/// Why a command failed, and the exit code that says so.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub exit: ExitCode,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { exit: error.exit_code(), error }
    }
}

/// Runs one command. Results go to stdout; everything else goes through `console` to stderr.
pub fn run(cli: Cli, console: &Console) -> Result<ExitCode, Failure> {
    let done = match cli.command {
        Command::Init { path, values } => init::init(&path, values, console),
        Command::Plan { cluster, diff, output } => plan::plan(&cluster, diff, &output, console),
        Command::Fetch { cluster, sources } => build::fetch(&cluster, &sources, console),
        Command::Build { cluster, sources, output } => build::build(&cluster, &sources, &output, console),
        Command::Verify { path, deep, trust } => verify::verify(&path, deep, &trust, console),
        Command::Export(args) => export::export(&args, console),
        Command::Import(args) => import::import(&args, console),
        Command::Rebuild { bundle, cluster, sources } => rebuild::rebuild(&bundle, &cluster, &sources, console),
        Command::Attest { bundle, key, cluster, sources } => {
            rebuild::attest(&bundle, &key, &cluster, &sources, console)
        }
        Command::Sign { out, key } => sign::sign(&out, &key, console),
        Command::Trust(TrustCommand::Init { dir, key, rebuilder, revoke }) => {
            sign::trust(&dir, &key, &rebuilder, &revoke, console)
        }
        Command::Inspect { path } => inspect::inspect(&path, console),
        Command::Audit(args) => audit::audit(&args, console),
        Command::Diff { from, to, pieces } => {
            let compare = if pieces { diff::pieces } else { diff::diff };
            return compare(&from, &to, console).map_err(|error| Failure { error, exit: diff::FAILED });
        }
        Command::Serve { out, listen, include_secrets } => {
            let secrets = if include_secrets { Secrets::Included } else { Secrets::Refused };
            serve::serve(&out, listen, secrets, console)
        }
        Command::Push(args) => registry::push(&args, console),
        Command::Pull(args) => registry::pull(&args, console),
        Command::Pki(PkiCommand::Status { cluster, check }) => pki::status(&cluster, check, console),
        Command::Pki(PkiCommand::Renew { cluster, id }) => pki::renew(&cluster, id, console),
        Command::Recipe(RecipeCommand::List) => recipe::list(console),
        Command::Recipe(RecipeCommand::Show { recipe }) => recipe::show(&recipe, console),
        Command::Recipe(RecipeCommand::Export { recipe, dir }) => recipe::export(&recipe, &dir, console),
        Command::Recipe(RecipeCommand::Pin { dir, from }) => recipe::pin(&dir, &from, console),
        Command::Images(ImagesCommand::Pin { cluster, from }) => images::pin(&cluster, &from, console),
        Command::Store(StoreCommand::Prune { days }) => store::prune(days, console),
        Command::Explain { key } => reference::explain(&key, console),
        Command::Schema => reference::schema(),
        Command::Completions { shell } => reference::completions(shell),
        Command::Demo { out } => demo::demo(&out, console),
    };
    Ok(done.map(|()| ExitCode::Success)?)
}
