//! A namespace ends while no controller is at work, and takes the controller's Role in it away.

use serde_json::{Value, json};

use crate::flamewarden::good_analysis;
use crate::lab::{GUARDED, Lab, collection};
use crate::shared::run;

#[test]
fn a_controller_that_comes_when_its_role_is_gone_frees_the_policies_of_an_ending_namespace() {
    run(async {
        let mut lab = Lab::start().await;
        let mut analysis = good_analysis("ends");
        analysis["metadata"]["name"] = json!("ends");
        analysis["spec"]["terminationGracePeriodSeconds"] = json!(1);
        lab.create(NAMESPACE, &analysis).await;
        lab.running(NAMESPACE, "analysis-ends", 1).await;
        // Policies outlive pods by twice the grace; of pods that nobody can see any more, the longest allowed.
        lab.change_profile(&[("graceMaximum: 30", "graceMaximum: 1")]).await;
        for mut controller in lab.controllers.drain(..) {
            controller.signal("TERM");
            controller.wait();
        }
        let namespace = format!("/api/v1/namespaces/{NAMESPACE}");
        lab.cluster.admin.delete(&namespace, None).await.unwrap();
        let only_policies = |namespace: &Value| {
            let conditions = namespace["status"]["conditions"].as_array()?;
            let left = conditions.iter().find(|one| one["type"] == "NamespaceContentRemaining")?;
            let left = left["message"].as_str()?;
            (left == "Some resources are remaining: networkpolicies.networking.k8s.io has 1 resource instances")
                .then_some(())
        };
        lab.cluster.read(&namespace, only_policies).await;
        let role = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/flamewarden-controller");
        assert_eq!(lab.cluster.admin.get(&role).await.unwrap_err().code, 404);
        let policy = format!("{}/flamewarden-analysis-ends", collection(NAMESPACE, "NetworkPolicy"));
        let held = lab.cluster.admin.get(&policy).await.unwrap();
        assert!(held["metadata"]["deletionTimestamp"].is_string(), "{held}");
        lab.add_controller("late");
        lab.cluster.gone(&namespace).await;
    });
}

const NAMESPACE: &str = GUARDED[1];
