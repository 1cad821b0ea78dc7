//! What runs, and what does not, by what Grype found.

use crate::gate::gate;
use crate::shared::run;

#[test]
fn an_image_runs_once_it_was_scanned_and_one_with_a_hole_never_does() {
    run(async {
        let gate = gate().await;
        let (good, bad) = (gate.debian("good", "3.0.12-1").await, gate.debian("bad", "3.0.11-1").await);
        let refused = gate.pod("gate-a", "early", &good).await.unwrap_err();
        assert!(refused.message.contains("there is no scan of it yet"), "{}", refused.message);

        gate.deployment("gate-a", "good", &good).await.unwrap();
        gate.deployment("gate-a", "bad", &bad).await.unwrap();
        let scan = gate.judged(&good, "pass").await;
        assert_eq!(scan["spec"]["image"], good);
        assert_eq!(scan["status"]["platform"], "linux/amd64");
        let pod = gate.runs("gate-a", "good").await;
        assert_eq!(pod["spec"]["containers"][0]["image"], good);

        let scan = gate.judged(&bad, "fail").await;
        assert!(scan["status"]["failedSince"].is_string(), "{scan}");
        let refused = gate.pod("gate-a", "late", &bad).await.unwrap_err();
        let told = "its scan fails: CVE-2026-0001 (critical) in openssl 3.0.11-1 (deb): critical and above fail; build the image with 3.0.12-1";
        assert!(refused.message.contains(told), "{}", refused.message);
        let refused = gate.deployment("gate-a", "late", &bad).await.unwrap_err();
        assert!(refused.message.contains(told), "{}", refused.message);
    });
}
