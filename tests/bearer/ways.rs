//! The ways by which other systems are reached: authorities, proxies, and nothing that the environment says.

use std::path::PathBuf;
use std::time::Duration;

use flamewarden::model::Secret;
use flamewarden::remote::{Address, Question, Remote, RemoteProblem, Ways};
use tokio::net::TcpListener;

use crate::stand_in::{Reply, StandIn};
use crate::tls::Tls;

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named_and_only_there() {
    let (listener, authority) = Tls::listen().await;
    let port = listener.listener.local_addr().unwrap().port();
    let system = StandIn::on(listener, &format!("https://localhost:{port}"), |_| Reply::body("hello"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    assert_eq!(ask(&ways(Some(file), None, None), &system.address).await.unwrap(), "hello");
    let problem = ask(&ways(None, None, None), &system.address).await.unwrap_err();
    assert!(problem.may_pass() && problem.to_string().contains("UnknownIssuer"), "{problem}");
    assert_eq!(system.times(), 1);
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_addresses_that_it_is_for() {
    let proxy = StandIn::start(|_| Reply::body("by proxy")).await;
    let system = StandIn::start(|_| Reply::body("direct")).await;
    let named = |address: &Address| Some(Secret::new(address.as_str()));
    let far = Address::parse("http://keycloak.invalid/auth").unwrap();
    assert_eq!(ask(&ways(None, named(&proxy.address), None), &far).await.unwrap(), "by proxy");
    assert_eq!(proxy.asked()[0].path, "http://keycloak.invalid/auth");
    assert_eq!(ask(&ways(None, None, named(&proxy.address)), &system.address).await.unwrap(), "direct");
    assert_eq!((proxy.times(), system.times()), (1, 1));
}

#[tokio::test]
async fn nobody_there_is_told_without_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::parse(&format!("http://{}/secret-path", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let problem = ask(&ways(None, None, None), &address).await.unwrap_err();
    assert!(problem.may_pass() && problem.to_string().contains("Connection refused"), "{problem}");
    assert!(!problem.to_string().contains("secret-path"), "{problem}");
}

async fn ask(ways: &Ways, address: &Address) -> Result<String, RemoteProblem> {
    let answer = Remote::new(ways).unwrap().ask(Question::get(address.clone(), 1024)).await?;
    Ok(String::from_utf8_lossy(answer.bytes()).into_owned())
}

fn ways(authorities: Option<PathBuf>, http_proxy: Option<Secret>, https_proxy: Option<Secret>) -> Ways {
    Ways { authorities, http_proxy, https_proxy, direct: Vec::new(), patience: Duration::from_secs(60) }
}
