//! Whose certificates are believed.

use std::time::Duration;

use flamewarden::model::ImageRef;
use flamewarden::registry::{Reach, Registry, RegistryProblem, Resolved, Transport};
use flamewarden::remote::Ways;
use serde_json::json;

use crate::stand_in::{Held, StandIn, image};
use crate::tls::Tls;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_registry_is_believed_by_the_authorities_that_are_named_for_it_and_by_no_others() {
    let (config, manifest) = image(&json!({"os": "linux", "architecture": "amd64"}));
    let held: [Held; 2] = [config, manifest.clone()];
    let (registry, authority) = StandIn::with_tls(move |asked| {
        let [config, manifest] = &held;
        if asked.path.contains("/blobs/") { config.answer() } else { manifest.answer() }
    })
    .await;
    let (_, others) = Tls::listen().await;
    let (ways, reach) =
        (Ways::plain(PATIENCE), || Reach { registries: vec![registry.host.clone()], ..Reach::default() });
    let image = format!("{}/a:1", registry.host);
    let resolved = async |client: Registry| client.resolve(&ImageRef::parse(&image).unwrap(), None).await;

    let both = format!("{others}{authority}");
    for trusted in [&authority, &both] {
        let got = resolved(Registry::trusting(&ways, trusted, reach(), PATIENCE).unwrap()).await.unwrap();
        assert_eq!(got, Resolved::Manifest { digest: manifest.digest(), platform: Some("linux/amd64".to_owned()) });
    }
    let asked = registry.asked().len();
    for client in
        [Registry::trusting(&ways, &others, reach(), PATIENCE), Registry::new(&ways, Transport::Tls, reach(), PATIENCE)]
    {
        let problem = resolved(client.unwrap()).await.unwrap_err();
        assert!(matches!(&problem, RegistryProblem::Tls { host, .. } if *host == registry.host), "{problem:?}");
        assert!(problem.to_string().contains("named in `registries` of the document of kind Scanner"), "{problem}");
    }
    assert_eq!(registry.asked().len(), asked, "nobody who is not believed is asked anything");
    assert!(Registry::trusting(&ways, "no certificate", reach(), PATIENCE).is_err());
}
