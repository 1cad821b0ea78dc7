//! What all tests of a run share: one runtime, one cluster with one node, and namespaces of their own.

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::caller::Caller;
use crate::control_plane::ControlPlane;
use crate::kubelet::Kubelet;

/// The cluster that the tests of a run share.
pub(crate) struct Cluster {
    pub(crate) plane: ControlPlane,
    pub(crate) admin: Caller,
    pub(crate) kubelet: Kubelet,
}

/// Runs a test on the shared runtime, since connections live and die with the runtime that made them.
pub(crate) fn run(test: impl Future<Output = ()>) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        // A second call finds the provider in place, which is all that is wanted.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
    });
    runtime.block_on(test);
}

/// The shared cluster, started by the first test that asks. Where it cannot start, every test says why.
pub(crate) async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Result<Cluster, String>> = OnceCell::const_new();
    let start = async || {
        let starting = AssertUnwindSafe(Cluster::start());
        starting.catch_unwind().await.map_err(|panic| {
            panic.downcast::<String>().map_or_else(|_| "see the first failure".to_owned(), |text| *text)
        })
    };
    match CLUSTER.get_or_init(start).await {
        Ok(cluster) => cluster,
        Err(problem) => panic!("the test cluster cannot start: {problem}"),
    }
}

impl Cluster {
    /// One that no other test has, and no controller of Flamewarden.
    pub(crate) async fn start() -> Cluster {
        let plane = ControlPlane::start().await;
        let admin = plane.admin().await;
        let kubelet = Kubelet::start(&plane, "node-1").await;
        Cluster { plane, admin, kubelet }
    }

    /// A namespace for one test, with its default service account, so that pods are accepted in it.
    pub(crate) async fn namespace(&self, purpose: &str) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("{purpose}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.namespace_named(&name).await;
        name
    }

    /// A namespace with a given name.
    pub(crate) async fn namespace_named(&self, name: &str) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.admin.create("/api/v1/namespaces", &namespace).await.unwrap();
        self.read(&format!("/api/v1/namespaces/{name}/serviceaccounts/default"), |_| Some(())).await;
    }

    /// Waits until an object is as a test wants it, and gives what the test took from it.
    pub(crate) async fn read<T>(&self, path: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        wait_until(path, PATIENCE, async || wanted(&self.admin.get(path).await.ok()?)).await
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&self, path: &str) {
        wait_until(&format!("{path} is gone"), PATIENCE, async || {
            self.admin.get(path).await.is_err_and(|refusal| refusal.code == 404).then_some(())
        })
        .await;
    }
}

/// Asks again until there is an answer; fails with what it waited for.
pub(crate) async fn wait_until<T>(what: &str, patience: Duration, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(patience, ask).await.unwrap_or_else(|| panic!("waited {patience:?} in vain until: {what}"))
}

/// Asks again until there is an answer, or patience ends. The one place where tests wait.
pub(crate) async fn within<T>(patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        match ask().await {
            Some(answer) => return Some(answer),
            None if begun.elapsed() > patience => return None,
            None => tokio::time::sleep(PACE).await,
        }
    }
}

/// How long a test waits for what takes a cluster a moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(50);
