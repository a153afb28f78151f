//! The command: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use kube_bundle::cli::Cli;
use kube_bundle::commands::{self, Console};

fn main() -> ExitCode {
    // Usage errors end here, with code 2, as clap prints them.
    let cli = Cli::parse();
    let console = Console::new(&cli.common);
    match commands::run(cli, &console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.fail(&error);
            ExitCode::from(error.exit_code() as u8)
        }
    }
}
