//! Certificates and policies change while calls are in flight.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::client::{Caller, Connection};
use crate::server::{Place, review, until};

fn leaf(folder: &Path) -> Vec<u8> {
    CertificateDer::from_pem_file(folder.join("tls.crt")).unwrap().to_vec()
}

/// Whom a caller trusts while authorities change: all of them.
fn trusting_all(place: &Place, generations: &[&str]) -> Caller {
    let folder = place.certificates();
    let bundle: String = generations
        .iter()
        .map(|generation| fs::read_to_string(place.generation(generation).join("ca.crt")).unwrap())
        .collect();
    fs::write(folder.join("ca.crt"), bundle).unwrap();
    Caller::trusting(&folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_swapped_by_symlink_twice_in_a_row_is_served_and_no_call_is_lost() {
    let place = Place::mounted();
    for generation in ["second", "third"] {
        place.mount(generation);
    }
    place.swap("first");
    let caller = trusting_all(&place, &["first", "second", "third"]);
    let running = place.start().await;
    let address = running.webhook.unwrap();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let calls: Vec<_> =
        (0..4).map(|_| tokio::spawn(call_until(stop.clone(), answered.clone(), caller.clone(), address))).collect();
    let mut kept = caller.connect(address).await.unwrap();
    for generation in ["second", "third"] {
        let before = answered.load(Ordering::Relaxed);
        place.swap(generation);
        let wanted = leaf(&place.generation(generation));
        until("the new certificate is shown", async || caller.connect(address).await.unwrap().shown == wanted).await;
        until("calls go on", async || answered.load(Ordering::Relaxed) > before + 8).await;
    }
    stop.store(true, Ordering::Relaxed);
    for call in calls {
        call.await.unwrap();
    }
    let response = kept.post("/validate", review()).await.unwrap();
    assert_eq!(response.answer(), ("u-1".to_owned(), false, Some(403)), "a connection from before both swaps");
}

/// Calls on connections of ten calls each; fails if one is not answered.
async fn call_until(stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>, caller: Caller, address: SocketAddr) {
    while !stop.load(Ordering::Relaxed) {
        let mut connection = caller.connect(address).await.unwrap();
        for _ in 0..10 {
            let response = connection.post("/validate", review()).await.unwrap();
            assert_eq!(response.answer(), ("u-1".to_owned(), false, Some(403)));
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_pair_that_does_not_fit_keeps_the_old_one_in_force() {
    let place = Place::mounted();
    let running = place.start().await;
    let caller = Caller::trusting(&place.generation("first"));
    let first = leaf(&place.generation("first"));
    for (what, file, text) in [
        ("garbage", "tls.crt", "garbage".to_owned()),
        ("another's key", "tls.key", rcgen::KeyPair::generate().unwrap().serialize_pem()),
        ("no key", "tls.key", String::new()),
    ] {
        place.mount("broken");
        fs::write(place.generation("broken").join(file), text).unwrap();
        place.swap("broken");
        // A change of the policies is seen by the same look that saw the certificate.
        break_policies(&place);
        let probes = running.probes;
        until("the look is over", async || valid(probes).await == 0).await;
        assert_eq!(caller.connect(running.webhook.unwrap()).await.unwrap().shown, first, "{what}");
        assert_eq!(Connection::plain(probes).await.fetch("/readyz").await.status, 200);
        mend_policies(&place);
        until("the policies are mended", async || valid(probes).await == 1).await;
        fs::remove_dir_all(place.generation("broken")).unwrap();
    }
}

fn break_policies(place: &Place) {
    fs::write(place.policies().join("zz.yaml"), "kind: Profile\nspec: {}\n").unwrap();
}

fn mend_policies(place: &Place) {
    fs::remove_file(place.policies().join("zz.yaml")).unwrap();
}

async fn valid(probes: SocketAddr) -> i64 {
    let metrics = Connection::plain(probes).await.fetch("/metrics").await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix("flamewarden_policies_valid "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn changed_policies_come_into_force_and_broken_ones_do_not() {
    let place = Place::mounted();
    let running = place.start().await;
    let mut connection = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
    let refused = ("u-1".to_owned(), false, Some(403));
    assert_eq!(connection.post("/validate", review()).await.unwrap().answer(), refused);
    break_policies(&place);
    until("the change is seen", async || valid(running.probes).await == 0).await;
    assert_eq!(connection.post("/validate", review()).await.unwrap().answer(), refused);
    mend_policies(&place);
    let file = place.policies().join("installation.yaml");
    let elsewhere = fs::read_to_string(&file).unwrap().replace("name: flame,", "name: elsewhere,");
    fs::write(&file, elsewhere).unwrap();
    let allowed = ("u-1".to_owned(), true, None);
    let connection = tokio::sync::Mutex::new(connection);
    until("the namespace is guarded no more", async || {
        connection.lock().await.post("/validate", review()).await.unwrap().answer() == allowed
    })
    .await;
    assert_eq!(valid(running.probes).await, 1);
}

#[tokio::test]
async fn without_a_certificate_nobody_is_told_that_all_is_ready() {
    let place = Place::new();
    let running = place.start().await;
    let mut probes = Connection::plain(running.probes).await;
    assert_eq!(probes.fetch("/livez").await.status, 200);
    let response = probes.fetch("/readyz").await;
    let missing = "certificate: no certificate has been loaded\n";
    assert_eq!((response.status, response.text.as_str()), (503, missing));
    let stranger = Place::mounted();
    assert!(Caller::trusting(&stranger.generation("first")).connect(running.webhook.unwrap()).await.is_err());
    flamewarden::serve::renew_folder(&place.certificates(), &["127.0.0.1".to_owned()].into(), jiff::Timestamp::now())
        .unwrap();
    let address = running.probes;
    until("it is ready", async || Connection::plain(address).await.fetch("/readyz").await.status == 200).await;
    Caller::trusting(&place.certificates()).connect(running.webhook.unwrap()).await.unwrap();
}
