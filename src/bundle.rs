//! The objects that one run of an analysis needs, as values: a pure function of a request and what is known of Services.

mod analysis;
mod analysis_service;
mod configuration;
mod covers;
mod credentials;
mod default_deny;
mod gateway;
mod gateway_policy;
mod gateway_service;
mod host;
mod nginx;
mod pod;
mod pull_secret;
mod request;
mod services;
mod statistics;
mod token_secret;

use serde_json::{Value, json};

pub use covers::{covers, differences};
pub use credentials::{Credentials, Tokens};
pub use default_deny::name as default_deny_name;
pub use host::Host;
pub use nginx::{Routes, Target};
pub use pull_secret::{name as pull_secret_name, pull_secret};
pub use request::{CreateRequest, Fault, MOST_RESTARTS, whole_number};
pub use services::{Address, Known, PodPort, Route, Services};
pub use token_secret::{keycloak_token, name as token_secret_name, token_in, token_secret};

use crate::isolation;
use crate::model::{ImageRef, ProjectId, Run, labels};
use crate::policy::{Orchestrator, PolicySet, Tenancy, Upstream, Want};

/// What a bundle is made from.
pub struct Order<'a> {
    /// Which run of which analysis.
    pub run: Run,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// Its image, as the Hub named it or by digest.
    pub image: &'a str,
    /// The policies in force.
    pub policies: &'a PolicySet,
    /// The orchestrator's settings among them.
    pub settings: &'a Orchestrator,
    /// What is known of Services: the node's own, and the run's where they exist.
    pub services: &'a Services,
}

/// Why there can be no such bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleProblem {
    /// The policies say nothing of an orchestrator.
    #[error("the policies have no document of kind Orchestrator, so nothing is made")]
    Settings,
    /// The image is not named as runtimes want it, or lies elsewhere.
    #[error("image `{image}` {problem}")]
    Image {
        /// As it was given.
        image: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The name that the run would have does not fit the profile's pattern.
    #[error("`{0}` does not fit the pattern guards.app of the profiles, so its pods would be refused")]
    Name(String),
    /// One of the node's Services is not as the settings say.
    #[error("upstream {upstream}: Service {namespace}/{name} {problem}")]
    Upstream {
        /// Which upstream.
        upstream: &'static str,
        /// The Service's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
}

/// Every object but the two Secrets and the guard's own policy, in the order in which they are to be made: the analysis
/// last.
///
/// # Errors
/// Everything that stands in the way.
pub fn objects(order: &Order<'_>) -> Result<Vec<Value>, Vec<BundleProblem>> {
    let routes = routes(order)?;
    let mut objects =
        vec![analysis_service::service(order), gateway_service::service(order), gateway_policy::policy(order, &routes)];
    if order.policies.tenancy(&order.settings.namespace) == Some(Tenancy::Dedicated) {
        objects.push(default_deny::policy(&order.settings.namespace));
    }
    let configuration = configuration::config_map(order, &routes);
    let gateway = gateway::deployment(order, &configuration);
    objects.extend([configuration, gateway, analysis::deployment(order)]);
    Ok(objects)
}

/// The policy that isolates the analysis: the guard writes it, from the same function.
pub fn isolation_policy(order: &Order<'_>) -> Value {
    let PolicySet { analysis, gateway, .. } = order.policies;
    isolation::policy(&order.app(), &order.settings.namespace, analysis, gateway)
}

/// Checks what a bundle rests on, and finds out where the gateway leads.
fn routes(order: &Order<'_>) -> Result<Routes, Vec<BundleProblem>> {
    let mut problems = Vec::new();
    problems.extend(image_problem(order.image, order.policies));
    let app = order.app();
    let analysis = order.services.own(&order.settings.namespace, &app, SERVICE_PORT);
    if order.policies.analysis.analysis_of(&app).is_none() || analysis.is_none() {
        problems.push(BundleProblem::Name(app.clone()));
    }
    let upstreams = &order.settings.upstreams;
    let mut route = |upstream: &'static str, of: &Upstream| match order.services.route(of, &order.settings.namespace) {
        Ok(route) => Some(route),
        Err(problem) => {
            let namespace = of.namespace.clone().unwrap_or_else(|| order.settings.namespace.clone());
            problems.push(BundleProblem::Upstream { upstream, namespace, name: of.service.clone(), problem });
            None
        }
    };
    let found = (
        route("kong", &upstreams.kong),
        route("storage", &upstreams.storage),
        route("hubAdapter", &upstreams.hub_adapter),
        route("messageBroker", &upstreams.message_broker),
        route("orchestrator", &upstreams.orchestrator),
    );
    let (Some(kong), Some(storage), Some(hub_adapter), Some(message_broker), Some(orchestrator)) = found else {
        return Err(problems);
    };
    let (Some(analysis), true) = (analysis, problems.is_empty()) else { return Err(problems) };
    Ok(Routes { kong, storage, hub_adapter, message_broker, orchestrator, analysis })
}

/// What is wrong with an analysis's image; none where it may run.
pub fn image_problem(image: &str, policies: &PolicySet) -> Option<BundleProblem> {
    let problem = match ImageRef::parse(image) {
        Err(problem) => problem.to_string(),
        Ok(image) => {
            let images = &policies.analysis.images;
            let allowed = images.registries.iter().any(|registry| image.is_below(registry));
            match (allowed, images.digest == Want::Required && image.digest.is_none()) {
                (true, false) => return None,
                (true, true) => "has no digest, which the profile requires (images.digest)".to_owned(),
                (false, _) => format!("does not come from an allowed registry ({})", images.registries.join(", ")),
            }
        }
    };
    Some(BundleProblem::Image { image: image.to_owned(), problem })
}

impl Order<'_> {
    /// The run's name and its label `app`.
    fn app(&self) -> String {
        self.run.app()
    }

    /// The gateway's name and its label `app`.
    fn gateway(&self) -> String {
        isolation::gateway_app(&self.app())
    }

    /// The labels of the analysis's objects and pods.
    fn analysis_labels(&self) -> Value {
        self.labels(&self.app(), &self.policies.analysis.guards.component)
    }

    /// The labels of the gateway's objects and pods.
    fn gateway_labels(&self) -> Value {
        self.labels(&self.gateway(), &self.policies.gateway.guards.component)
    }

    fn labels(&self, app: &str, component: &str) -> Value {
        json!({labels::APP: app, labels::COMPONENT: component, labels::ANALYSIS: self.run.analysis.to_string()})
    }
}

/// The port of both Services, as FLAME's own parts call them.
const SERVICE_PORT: u16 = 80;
/// The port of the gateway's container: one that needs no rights.
const GATEWAY_PORT: u16 = 8080;
