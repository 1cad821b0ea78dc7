//! Edge: `flamewarden bundle`: prints the objects that a create request leads to, without a cluster.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::slice;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::Value;

use super::audit::parse;
use crate::bundle::{
    BundleProblem, CreateRequest, Order, Services, isolation_policy, objects, pull_secret, token_secret,
};
use crate::install::to_yaml;
use crate::model::{Run, yaml_documents};
use crate::serve::read_policies;

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Bundle {
    /// The create request (JSON), as the Hub adapter sends it; `-` for standard input.
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
    /// Folder of the policy files (*.yaml), an Orchestrator among them.
    #[arg(long, value_name = "DIR", default_value = "policies")]
    policies: PathBuf,
    /// The node's Services: what `kubectl get services --all-namespaces -o yaml` prints.
    #[arg(long, value_name = "FILE")]
    services: PathBuf,
}

impl Bundle {
    /// The text to print.
    pub(super) fn run(self) -> anyhow::Result<String> {
        let policies = parse(&read_policies(&self.policies)?)?;
        let settings = policies.orchestrator.as_ref().ok_or(BundleProblem::Settings)?;
        let request = read_request(&self.request)?;
        let services = read_services(&self.services)?;
        let run = Run { analysis: request.analysis, number: request.restart_counter.saturating_add(1) };
        let order = Order {
            run,
            project: request.project,
            image: &request.image,
            policies: &policies,
            settings,
            services: &services,
        };
        let made = objects(&order).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow!(problems.join("; "))
        })?;
        let mut bundle = vec![
            pull_secret(run.analysis, &settings.namespace, &request.credentials),
            token_secret(run.analysis, &settings.namespace, &request.tokens),
        ];
        // Before what needs it: the guard has written it when the analysis's gate opens.
        let is_policy = |object: &Value| object.get("kind").is_some_and(|kind| kind == "NetworkPolicy");
        let first = made.iter().position(is_policy).unwrap_or_default();
        let (services, rest) = made.split_at(first);
        bundle.extend_from_slice(services);
        bundle.push(isolation_policy(&order));
        bundle.extend_from_slice(rest);
        to_yaml(&bundle).context("cannot write the objects as YAML")
    }
}

fn read_request(file: &Path) -> anyhow::Result<CreateRequest> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        text
    } else {
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    let body: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    CreateRequest::parse(&body).map_err(|faults| {
        let faults: Vec<String> =
            faults.iter().map(|fault| format!("{}: {}", fault.field.unwrap_or("body"), fault.message)).collect();
        anyhow!("{}: {}", file.display(), faults.join("; "))
    })
}

/// Lists and single Services, in any number of documents.
fn read_services(file: &Path) -> anyhow::Result<Services> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut services = Services::default();
    for document in yaml_documents(&text) {
        let object: Value =
            serde_saphyr::from_str(&document).with_context(|| format!("{} is no YAML", file.display()))?;
        let listed = match (object.get("kind").and_then(Value::as_str), object.get("items").and_then(Value::as_array)) {
            (_, Some(items)) => items.as_slice(),
            (Some("Service"), None) => slice::from_ref(&object),
            _ => bail!("{}: holds something else than Services", file.display()),
        };
        for service in listed {
            services.learn(service);
        }
    }
    Ok(services)
}
