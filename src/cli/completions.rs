//! `flamewarden completions`: a script that completes commands and arguments in a shell, also behind `kubectl`.

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// The script for the commands of the program.
    pub(super) fn run(self, mut commands: Command) -> anyhow::Result<String> {
        let mut script = Vec::new();
        generate(self.shell, &mut commands, "flamewarden", &mut script);
        String::from_utf8(script).context("the script is no text")
    }
}
