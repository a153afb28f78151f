//! The command: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use kube_bundle::cli::Cli;
use kube_bundle::commands::{self, Console};

fn main() -> ExitCode {
    commands::complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(why) => return commands::refuse(&why, std::env::args_os().skip(1)).into(),
    };
    let console = Console::new(&cli.common);
    let exit = commands::run(cli, &console).unwrap_or_else(|failure| {
        console.fail(&failure);
        failure.exit
    });
    ExitCode::from(exit as u8)
}
