//! Edge: `flamewarden scan-worker`: makes one scan for the controller, which alone starts it.

use std::ffi::OsString;
use std::fs::File;
use std::future;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::signal::unix::{SignalKind, signal};

use super::print;
use crate::scanner::{Confinement, Order, work};

/// Arguments of the command.
#[derive(Args)]
pub(super) struct ScanWorker {
    #[command(subcommand)]
    step: Step,
}

/// The steps of a scan.
#[derive(Subcommand)]
enum Step {
    /// Has Grype scan an image within bounds, and hands over what it brings.
    Run(Run),
    /// Gives up all but what a scan takes, and becomes a program.
    Confine(Confine),
}

#[derive(Args)]
struct Run {
    /// What is to be done; `-` for the first line of standard input, at whose end it is given up.
    #[arg(long, value_name = "FILE")]
    order: PathBuf,
}

#[derive(Args)]
struct Confine {
    #[command(flatten)]
    confinement: Confinement,
    /// The program.
    #[arg(value_name = "PROGRAM")]
    program: OsString,
    /// Its arguments.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl ScanWorker {
    /// The exit code. What went wrong with the scan is said on standard output, in one line.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.step {
            Step::Confine(step) => {
                let program = Path::new(&step.program).display();
                let Err(problem) = step.confinement.exec(&step.program, &step.arguments);
                Err(problem).with_context(|| format!("cannot run {program}"))
            }
            Step::Run(step) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let done = runtime.block_on(step.run());
                // A read of standard input cannot be given up; whoever holds it open may not end us.
                runtime.shutdown_background();
                done
            }
        }
    }
}

impl Run {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (order, input) = if self.order == Path::new("-") {
            let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            let mut input = BufReader::new(tokio::fs::File::from_std(input));
            let mut line = String::new();
            (&mut input).take(LONGEST).read_line(&mut line).await.context("cannot read the order")?;
            (line, Some(input))
        } else {
            let mut text = String::new();
            let read = File::open(&self.order).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
            read.with_context(|| format!("cannot read the order {}", self.order.display()))?;
            (text, None)
        };
        // The text holds a credential: what is wrong with it is not shown.
        let Ok(order) = serde_json::from_str::<Order>(&order) else { bail!("this is no order") };
        let stop = async {
            let asked = stopped();
            tokio::select! {
                () = closed(input) => {}
                _ = asked => {}
            }
        };
        let (code, line) = match work(&order, stop).await {
            Ok(()) => (0, format!("{} was scanned", order.image)),
            Err(problem) => problem.told(),
        };
        print(&format!("{line}\n"))?;
        Ok(ExitCode::from(code))
    }
}

/// Waits for the end of what is read.
async fn closed(input: Option<BufReader<tokio::fs::File>>) {
    let Some(mut input) = input else { return future::pending().await };
    let mut rest = [0; 64];
    while input.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

async fn stopped() -> io::Result<()> {
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

const LONGEST: u64 = 1 << 20;
