//! The Hub behind an authority of its own and a proxy.

use std::time::Duration;

use flamewarden::hub::Outcome;
use flamewarden::model::Secret;
use flamewarden::policy::FieldNames;
use flamewarden::remote::Ways;

use crate::lab::{ANALYSIS, by};
use crate::proxy::{Passed, Proxy};
use crate::stand_in::{Hub, NODE};
use crate::tls::Tls;

#[tokio::test]
async fn a_hub_under_an_authority_of_ones_own_is_reached_through_a_proxy_that_knows_us() {
    let (listener, authority) = Tls::listen().await;
    let port = listener.listener.local_addr().unwrap().port();
    // Its certificate is for `localhost`.
    let hub = Hub::on(listener, &format!("https://localhost:{port}"), FieldNames::Camel);
    let own = hub.part(ANALYSIS, NODE, None);
    let proxy = Proxy::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    std::fs::write(&file, authority).unwrap();
    let ways = Ways {
        authorities: Some(file),
        https_proxy: Some(Secret::new(format!("http://node:hunter2@{}", proxy.authority))),
        ..Ways::plain(Duration::from_secs(60))
    };

    let part = by(&hub, &ways).part(ANALYSIS.parse().unwrap()).await.unwrap();
    assert_eq!(part.to_string(), own);
    let basic = "Basic bm9kZTpodW50ZXIy".to_owned();
    let passed = Passed { line: format!("CONNECT localhost:{port}"), authorization: Some(basic) };
    assert_eq!(proxy.passed(), [passed], "one tunnel for all");

    let direct = Ways { direct: vec!["localhost".to_owned()], ..ways.clone() };
    assert!(by(&hub, &direct).part(ANALYSIS.parse().unwrap()).await.is_ok());
    assert_eq!(proxy.passed().len(), 1, "past the proxy");

    let untrusting = Ways { authorities: None, ..ways.clone() };
    let problem = by(&hub, &untrusting).part(ANALYSIS.parse().unwrap()).await.unwrap_err();
    assert!(problem.to_string().contains("UnknownIssuer"), "{problem}");
    assert_eq!((proxy.passed().len(), problem.outcome()), (2, Outcome::Unavailable));

    drop(proxy);
    let problem = by(&hub, &ways).part(ANALYSIS.parse().unwrap()).await.unwrap_err();
    let told = format!("{problem} {problem:?}");
    assert!(!told.contains("hunter2") && !told.contains("bm9kZTpodW50ZXIy"), "{told}");
    assert_eq!(problem.outcome(), Outcome::Unavailable);
}

#[tokio::test]
async fn a_plain_hub_is_asked_through_the_proxy_for_plain_addresses_and_no_other() {
    let hub = Hub::start(FieldNames::Camel).await;
    hub.part(ANALYSIS, NODE, None);
    let (plain, other) = (Proxy::start().await, Proxy::start().await);
    let named = |proxy: &Proxy| Some(Secret::new(format!("http://{}", proxy.authority)));
    let ways = Ways { http_proxy: named(&plain), https_proxy: named(&other), ..Ways::plain(Duration::from_secs(60)) };
    assert!(by(&hub, &ways).part(ANALYSIS.parse().unwrap()).await.is_ok());
    let token = Passed { line: format!("POST {}token", hub.address.as_str()), authorization: None };
    assert_eq!((plain.passed().first(), other.passed()), (Some(&token), Vec::new()));
}
