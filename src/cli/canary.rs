//! Edge: `flamewarden canary`: what the pods of a canary do, which the controller alone makes.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use tokio::net::TcpListener;

use crate::canary::{CANARY_PORT, Pace, listen, probe};

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Canary {
    #[command(subcommand)]
    step: Step,
}

/// What a pod is there for.
#[derive(Subcommand)]
enum Step {
    /// Takes connections until it is ended.
    Listen(Listen),
    /// Tries to connect for some seconds, and writes down how often that came about.
    Probe(Probe),
}

#[derive(Args)]
struct Listen {
    /// Where.
    #[arg(long, value_name = "PORT", default_value_t = CANARY_PORT)]
    port: u16,
}

#[derive(Args)]
struct Probe {
    /// To whom.
    #[arg(long, value_name = "ADDR")]
    to: SocketAddr,
    /// Where the count goes, as JSON.
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    message: PathBuf,
}

impl Canary {
    /// Does what the pod is there for.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self.step {
            Step::Listen(step) => runtime.block_on(async {
                let listener =
                    bound(step.port).await.with_context(|| format!("cannot listen on port {}", step.port))?;
                listen(listener).await;
                Ok(())
            }),
            Step::Probe(step) => {
                let tally = runtime.block_on(probe(step.to, &Pace::default()));
                let text = serde_json::to_string(&tally)?;
                fs::write(&step.message, text).with_context(|| format!("cannot write {}", step.message.display()))
            }
        }
    }
}

/// A pod's address may be of either family, and a node may know one of them only.
async fn bound(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
    }
}
