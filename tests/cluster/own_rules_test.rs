//! A rule of a user's own, installed as its page says: the API server asks for what it names, and for nothing else.

use flamewarden::install::{Certificates, Endpoint, Settings, manifests};
use flamewarden::policy::PolicySet;
use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::control_plane::free_ports;
use crate::flamewarden::{
    DEDICATED, SHARED, answers, apply, certificates, policy_files, settled, webhook_recipe, write_policies,
};
use crate::part::Part;
use crate::shared::{cluster, run};

#[test]
fn a_rule_on_config_maps_judges_every_config_map_of_a_guarded_namespace() {
    run(async {
        let cluster = cluster().await;
        let namespace = cluster.namespace("own-rules").await;
        let folder = cluster.plane.folder().join("own-rules");
        let files = files(&namespace);
        write_policies(&folder.join("policies"), &files);
        let ca_bundle = certificates(&folder.join("certificates"));
        let ports = free_ports();
        let mut webhook = Part::start(webhook_recipe(cluster, &folder, ports));
        answers(&mut webhook, ports[1]).await;
        let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
        let settings = Settings {
            namespace: "flamewarden-system".to_owned(),
            image: "flamewarden".to_owned(),
            certificates: Certificates::Own,
            endpoint: Endpoint::Url { base: format!("https://127.0.0.1:{}", ports[0]), ca_bundle },
            files: files.into_iter().collect(),
        };
        // The others bear the names of the shared installation's.
        let mut printed = manifests(&settings, &policies);
        printed.retain(|object| object["metadata"]["name"] == "flamewarden-rules");
        assert_eq!(printed.len(), 1);
        apply(cluster, &printed).await;
        settled(&cluster.admin).await;

        let admin = &cluster.admin;
        let path = |kind: &str| format!("/api/v1/namespaces/{namespace}/{kind}");
        let said = |kind: &'static str, object: Value| async move {
            admin.create(&path(kind), &object).await.map_err(|refusal| (refusal.code, refusal.message)).map(drop)
        };
        let refused = "admission webhook \"rules.validate.flamewarden.dev\" denied the request: flamewarden refuses \
            this for 1 reason(s):\none-team: metadata.labels ({\"team\":\"A1\"}): team is A1; write lower-case letters";
        assert_eq!(said("configmaps", labelled("bad", "A1")).await, Err((403, refused.to_owned())));
        assert_eq!(said("configmaps", labelled("good", "blue")).await, Ok(()));
        assert_eq!(said("secrets", labelled("bad", "A1")).await, Ok(()), "no rule names Secrets");
        let update = admin
            .patch(
                &format!("{}/good", path("configmaps")),
                PatchKind::Merge,
                &json!({"metadata": {"labels": {"team": "A1"}}}),
            )
            .await;
        assert_eq!(update.map_err(|refusal| refusal.code).map(drop), Err(403), "the rule names UPDATE too");
        admin.delete(&format!("{}/good", path("configmaps")), None).await.unwrap();

        drop(webhook);
        let (code, message) = said("configmaps", labelled("good", "blue")).await.unwrap_err();
        assert!(code == 500 && message.contains("failed calling webhook"), "{code} {message}");
        assert_eq!(said("secrets", labelled("good", "blue")).await, Ok(()));
        let configuration = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/flamewarden-rules";
        admin.delete(configuration, None).await.unwrap();
    });
}

/// The shipped profiles, one guarded namespace, and the rule of `own-rules.md`, which enforces here.
fn files(namespace: &str) -> Vec<(String, String)> {
    let page = include_str!("../../policies/own-rules.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let rule = format!("{}{}", blocks[0], blocks[1]).replace("mode: warn", "mode: enforce");
    let nothing: Vec<&str> = SHARED.iter().chain(DEDICATED).copied().collect();
    let mut files = policy_files(&nothing);
    let guarded = format!("  namespaces:\n    - {{name: {namespace}, tenancy: shared}}\n");
    for (_, text) in &mut files {
        *text = text.replace("  namespaces:\n", &guarded);
    }
    files.push(("own.yaml".to_owned(), rule));
    files
}

fn labelled(name: &str, team: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"team": team}}})
}
