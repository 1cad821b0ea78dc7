//! What the Hub is asked and told, in both ways to write names.

use std::collections::BTreeMap;
use std::time::Duration;

use flamewarden::hub::{LogLine, Outcome, ProcessStatus};
use flamewarden::policy::FieldNames;
use flamewarden::remote::Ways;
use serde_json::json;

use crate::lab::{ANALYSIS, edge, named};
use crate::stand_in::{Hub, NODE, OTHER_NODE};

#[tokio::test]
async fn an_analysis_is_found_told_and_logged_and_its_partners_are_read() {
    for names in [FieldNames::Camel, FieldNames::Snake] {
        let hub = Hub::start(names).await;
        let elsewhere = hub.part(ANALYSIS, OTHER_NODE, Some("executing"));
        let own = hub.part(ANALYSIS, NODE, None);
        let never = hub.part(ANALYSIS, "11111111-0000-4000-8000-000000000003", None);
        hub.part("44444444-0000-4000-8000-000000000002", NODE, Some("failed"));
        let edge = edge(&hub);
        let id = ANALYSIS.parse().unwrap();

        let part = edge.part(id).await.unwrap();
        assert_eq!(part.to_string(), own);
        let partners = BTreeMap::from([
            (elsewhere.parse().unwrap(), Some(ProcessStatus::Executing)),
            (never.parse().unwrap(), None),
        ]);
        assert_eq!(edge.partners(id, part).await.unwrap(), partners);
        edge.tell(id, part, ProcessStatus::Started, 0).await.unwrap();
        edge.tell(id, part, ProcessStatus::Executing, 40).await.unwrap();
        let told = [("started", 0), ("executing", 40)].map(|(word, progress)| (word.to_owned(), Some(progress)));
        assert_eq!(hub.told(&own), told);
        let line =
            LogLine { message: "epoch 1".to_owned(), level: "info".to_owned(), status: ProcessStatus::Executing };
        edge.log(id, &line).await.unwrap();
        let camel = json!({
            "analysisId": ANALYSIS, "nodeId": NODE, "code": null, "status": "executing", "message": "epoch 1",
            "level": "info",
        });
        let snake = json!({
            "analysis_id": ANALYSIS, "node_id": NODE, "code": null, "status": "executing", "message": "epoch 1",
            "level": "info",
        });
        assert_eq!(hub.logs(), [if names == FieldNames::Camel { camel } else { snake }]);
        let paths: Vec<_> = hub.asked().into_iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
        let tell = format!("POST /analysis-nodes/{own}");
        let want = ["POST /token", "GET /nodes", "GET /analysis-nodes", "GET /analysis-nodes", &tell, &tell];
        assert_eq!(paths, [&want[..], &["POST /analysis-node-logs"]].concat());
    }
}

#[tokio::test]
async fn all_pages_of_partners_are_read() {
    let hub = Hub::start(FieldNames::Camel).await;
    let own = hub.part(ANALYSIS, NODE, None);
    for number in 0..120 {
        hub.part(ANALYSIS, &format!("11111111-0000-4000-8000-1{number:011}"), Some("started"));
    }
    let partners = edge(&hub).partners(ANALYSIS.parse().unwrap(), own.parse().unwrap()).await.unwrap();
    assert_eq!(partners.len(), 120);
    assert!(partners.values().all(|status| *status == Some(ProcessStatus::Started)));
}

#[tokio::test]
async fn nobody_else_s_part_is_taken_for_ours_by_a_hub_that_does_not_know_our_filters() {
    let hub = Hub::start(FieldNames::Snake).await;
    let edge = named(&hub, &Ways::plain(Duration::from_secs(60)), FieldNames::Camel);
    let id = ANALYSIS.parse().unwrap();
    let elsewhere = hub.part(ANALYSIS, OTHER_NODE, Some("executing"));
    let another = "44444444-0000-4000-8000-000000000002";
    hub.part(another, NODE, None);
    let told = edge.part(id).await.unwrap_err();
    assert_eq!(told.to_string(), format!("the Hub knows no analysis {ANALYSIS} on this node"));
    assert_eq!(told.outcome(), Outcome::Unknown);
    let own = hub.part(ANALYSIS, NODE, None);
    let part = edge.part(id).await.unwrap();
    assert_eq!(part.to_string(), own);
    let partners = BTreeMap::from([(elsewhere.parse().unwrap(), Some(ProcessStatus::Executing))]);
    assert_eq!(edge.partners(id, part).await.unwrap(), partners);
}

#[tokio::test]
async fn a_client_without_a_node_is_told_so() {
    let hub = Hub::start(FieldNames::Camel).await;
    hub.part(ANALYSIS, NODE, None);
    hub.node_is(None);
    let edge = edge(&hub);
    let told = edge.part(ANALYSIS.parse().unwrap()).await.unwrap_err();
    assert_eq!((told.to_string().as_str(), told.outcome()), ("the Hub knows no node of our client", Outcome::Unknown));
    hub.node_is(Some(NODE));
    assert!(edge.part(ANALYSIS.parse().unwrap()).await.is_ok(), "what was not found is looked for again");
}

#[tokio::test]
async fn the_hash_of_what_was_built_is_asked_for_along_with_this_node_s_part() {
    for names in [FieldNames::Camel, FieldNames::Snake] {
        let hub = Hub::start(names).await;
        let another = "44444444-0000-4000-8000-000000000002";
        for (analysis, node) in [(another, NODE), (ANALYSIS, OTHER_NODE), (ANALYSIS, NODE)] {
            hub.part(analysis, node, None);
        }
        hub.built(another, Some("sha256:2"));
        hub.built(ANALYSIS, None);
        let edge = edge(&hub);
        let id = ANALYSIS.parse().unwrap();
        assert_eq!(edge.build_hash(id).await.unwrap(), None, "not built yet");
        hub.built(ANALYSIS, Some("sha256:1"));
        assert_eq!(edge.build_hash(id).await.unwrap(), Some("sha256:1".to_owned()));
        let last = hub.asked().pop().unwrap();
        let (analysis, node) = match names {
            FieldNames::Camel => ("filter[analysisId]", "filter[nodeId]"),
            FieldNames::Snake => ("filter[analysis_id]", "filter[node_id]"),
        };
        let asked = [(analysis, ANALYSIS), (node, NODE), ("include", "analysis")];
        assert!(asked.iter().all(|(name, value)| last.query.get(*name).is_some_and(|said| said == value)), "{last:?}");
        assert_eq!((last.method.as_str(), last.path.as_str()), ("GET", "/analysis-nodes"));
    }
}

#[tokio::test]
async fn nobody_else_s_hash_is_taken_for_that_of_an_analysis() {
    // It knows none of the filters, and gives everybody's.
    let hub = Hub::start(FieldNames::Snake).await;
    let edge = named(&hub, &Ways::plain(Duration::from_secs(60)), FieldNames::Camel);
    let (id, another) = (ANALYSIS.parse().unwrap(), "44444444-0000-4000-8000-000000000002");
    hub.part(another, NODE, None);
    hub.part(ANALYSIS, OTHER_NODE, None);
    hub.built(another, Some("sha256:2"));
    hub.built(ANALYSIS, Some("sha256:1"));
    let told = edge.build_hash(id).await.unwrap_err();
    assert_eq!(told.to_string(), format!("the Hub knows no analysis {ANALYSIS} on this node"));
    hub.part(ANALYSIS, NODE, None);
    assert_eq!(edge.build_hash(id).await.unwrap(), Some("sha256:1".to_owned()));
}
