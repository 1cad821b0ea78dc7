//! Keycloak stops for a while: who was known stays known, and nothing waits for long.

use flamewarden::serve::Refusal;
use jiff::{SignedDuration, Timestamp};

use crate::lab::{alone, keycloak, realm};
use crate::server::HUB_ADAPTER_SECRET;

#[tokio::test]
async fn while_keycloak_is_stopped_its_tokens_are_checked_with_the_keys_that_are_held() {
    let server = alone().await;
    let checks = realm(&server, "flame", &["flame"]);
    let making = keycloak(&server);
    let id = "c0000000-0000-4000-8000-000000000001";
    let client = making.client(id).await.unwrap();
    let token = server.token("flame", "hub-adapter", HUB_ADAPTER_SECRET).await;
    let begun = Timestamp::now();
    let passes = Ok("hub-adapter".to_owned());
    assert_eq!(checks.check(&token, begun).await.map(|bearer| bearer.client), passes);

    server.stop();
    for minutes in [1, 10, 59] {
        let now = begun + SignedDuration::from_mins(minutes);
        checks.refresh(now).await;
        assert_eq!(checks.check(&token, now).await.map(|bearer| bearer.client), passes, "after {minutes} min");
    }
    let hour = begun + SignedDuration::from_mins(61);
    assert_eq!(checks.check(&token, hour).await.map(drop), Err(Refusal::NoKeys));
    for problem in [
        making.client(id).await.map(drop).unwrap_err(),
        making.token(&client).await.map(drop).unwrap_err(),
        making.delete(id).await.unwrap_err(),
    ] {
        assert!(problem.may_pass() && problem.to_string().contains("no answer"), "{problem}");
    }

    server.start_again().await;
    let back = begun + SignedDuration::from_mins(62);
    assert_eq!(checks.check(&token, back).await.map(|bearer| bearer.client), passes, "the same keys are there again");
    assert_eq!(making.client(id).await.unwrap().secret.reveal(), client.secret.reveal());
    making.delete(id).await.unwrap();
}
