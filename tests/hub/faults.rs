//! A Hub that fails: what is told of it, and what is done about it.

use std::time::Duration;

use flamewarden::hub::{Outcome, ProcessStatus};
use flamewarden::policy::FieldNames;
use flamewarden::remote::Ways;

use crate::lab::{ANALYSIS, by, edge};
use crate::stand_in::{Fault, Hub, NODE, OTHER_NODE, SECRET};

#[tokio::test]
async fn each_fault_is_told_for_what_it_is_and_no_secret_with_it() {
    let id = ANALYSIS.parse().unwrap();
    let refused = |status| format!("the Hub answered {status}: it does not work");
    let plain = str::to_owned;
    for (fault, want, outcome) in [
        (Fault::Status(500), refused(500), Outcome::Unavailable),
        (Fault::Status(503), refused(503), Outcome::Unavailable),
        (Fault::Status(429), refused(429), Outcome::Unavailable),
        (Fault::Status(401), refused(401), Outcome::Refused),
        (Fault::Status(403), refused(403), Outcome::Refused),
        (Fault::Silence, plain("no answer in time"), Outcome::Unavailable),
        (Fault::Redirect, plain("the Hub answered 307"), Outcome::Refused),
        (Fault::Garbage, plain("the Hub's answer is not understood"), Outcome::NotUnderstood),
        (Fault::Other, plain("the Hub's answer is not understood"), Outcome::NotUnderstood),
        (Fault::Echo, plain("the Hub answered 403"), Outcome::Refused),
    ] {
        let hub = Hub::start(FieldNames::Camel).await;
        let patience = Duration::from_millis(if fault == Fault::Silence { 200 } else { 60_000 });
        hub.part(ANALYSIS, NODE, None);
        let edge = by(&hub, &Ways::plain(patience));
        for logged_in in [false, true] {
            hub.fails(Some(fault));
            let problem = edge.part(id).await.unwrap_err();
            let doing = match (logged_in, fault) {
                // With a token that is not taken the next thing is another.
                (false, _) | (true, Fault::Status(401)) => "log in to the Hub".to_owned(),
                (true, _) => format!("find the nodes of analysis {ANALYSIS} in the Hub"),
            };
            assert_eq!(
                (problem.to_string(), problem.outcome()),
                (format!("cannot {doing}: {want}"), outcome),
                "{fault:?}"
            );
            let shown = format!("{problem:?}");
            assert!(!shown.contains(SECRET) && !shown.contains("token-"), "{shown}");
            hub.fails(None);
            assert!(edge.part(id).await.is_ok(), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read() {
    let hub = Hub::start(FieldNames::Camel).await;
    hub.part(ANALYSIS, NODE, None);
    let edge = edge(&hub);
    assert!(edge.part(ANALYSIS.parse().unwrap()).await.is_ok());
    hub.fails(Some(Fault::Huge));
    let problem = edge.part(ANALYSIS.parse().unwrap()).await.unwrap_err();
    assert_eq!(problem.outcome(), Outcome::NotUnderstood);
    assert!(problem.to_string().ends_with("the answer has more than 262144 bytes"), "{problem}");
}

#[tokio::test]
async fn a_page_with_more_than_it_was_asked_for_is_not_taken() {
    let hub = Hub::start(FieldNames::Camel).await;
    let id = ANALYSIS.parse().unwrap();
    let own = hub.part(ANALYSIS, NODE, None).parse().unwrap();
    let edge = edge(&hub);
    assert_eq!(edge.partners(id, own).await.unwrap().len(), 0);
    for (parts, pages) in [(51, 1), (1000, 1), (50, 20)] {
        hub.fails(Some(Fault::Crowd(parts)));
        let before = hub.asked().len();
        let problem = edge.partners(id, own).await.unwrap_err();
        assert_eq!((problem.outcome(), hub.asked().len() - before), (Outcome::NotUnderstood, pages), "{parts}");
    }
}

#[tokio::test]
async fn a_node_s_id_that_was_wrong_once_is_asked_for_again() {
    let hub = Hub::start(FieldNames::Camel).await;
    let id = ANALYSIS.parse().unwrap();
    let own = hub.part(ANALYSIS, NODE, None);
    let edge = edge(&hub);
    hub.node_is(Some(OTHER_NODE));
    for _ in 0..2 {
        assert_eq!(edge.part(id).await.unwrap_err().outcome(), Outcome::Unknown);
    }
    hub.node_is(Some(NODE));
    assert_eq!(edge.part(id).await.unwrap().to_string(), own);
}

#[tokio::test]
async fn a_token_is_kept_and_another_is_fetched_when_it_has_ended() {
    let hub = Hub::start(FieldNames::Camel).await;
    let id = ANALYSIS.parse().unwrap();
    let own = hub.part(ANALYSIS, NODE, None).parse().unwrap();
    let edge = edge(&hub);
    let logins = || hub.asked().iter().filter(|asked| asked.path == "/token").count();
    for _ in 0..3 {
        edge.tell(id, own, ProcessStatus::Executing, 1).await.unwrap();
    }
    assert_eq!(logins(), 1);
    hub.end_tokens();
    edge.tell(id, own, ProcessStatus::Executing, 2).await.unwrap();
    assert_eq!((logins(), hub.told(&own.to_string()).len()), (2, 4), "told once more, and only once");
    // What is as good as over is not shown.
    hub.end_tokens();
    hub.tokens_last(1);
    for _ in 0..2 {
        edge.tell(id, own, ProcessStatus::Executing, 3).await.unwrap();
    }
    assert_eq!(logins(), 4);
}

#[tokio::test]
async fn a_hub_that_was_away_is_asked_again() {
    let hub = Hub::start(FieldNames::Camel).await;
    let own = hub.part(ANALYSIS, NODE, None);
    let edge = edge(&hub);
    assert!(edge.part(ANALYSIS.parse().unwrap()).await.is_ok());
    hub.stop().await;
    let problem = edge.part(ANALYSIS.parse().unwrap()).await.unwrap_err();
    assert_eq!(problem.outcome(), Outcome::Unavailable, "{problem}");
    hub.start_again().await;
    assert_eq!(edge.part(ANALYSIS.parse().unwrap()).await.unwrap().to_string(), own);
}
