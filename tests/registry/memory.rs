//! What is held of answers that are made to take memory, by many who ask at the same time: measured in a process that
//! does nothing else.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use flamewarden::model::{Digest, ImageRef};
use flamewarden::registry::{Reach, Registry};
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stand_in::{Asked, Held, MANIFEST, StandIn, answer, client, image};

/// Look-ups.
const AT_ONCE: usize = 8;
/// Judgements, and scans; of those that read one after the other, fewer, since each takes a while here.
const JUDGED: usize = 10;
const LARGE: usize = 4;
const MIB: usize = 1 << 20;

#[tokio::test]
async fn many_look_ups_of_what_is_made_to_take_memory_do_not() {
    if let Some((host, before)) = asks() {
        let registry = patient(&host, Duration::from_secs(3));
        let look_up = |number: usize| {
            let (registry, name) = (registry.clone(), format!("{host}/a:{}", number % 4));
            async move { registry.resolve(&ImageRef::parse(&name).unwrap(), None).await.map(drop).unwrap_err() }
        };
        let ended = join_all((0..AT_ONCE).map(look_up)).await;
        for (number, problem) in ended.iter().enumerate() {
            let want = if number % 4 == 3 { "has more than 1048576 bytes" } else { "in time" };
            assert!(problem.to_string().contains(want), "{number}: {problem}");
        }
        return println!("\n{MARK}{}", grown(before));
    }
    let blob = |length| Held { media_type: "application/octet-stream", bytes: vec![b' '; length] };
    let (config, longer) = (blob(MIB), blob(4 * MIB));
    let named = config.named(&json!({}));
    let described = |more: &str| {
        let mut described = named.clone();
        described["annotations"] = json!({"x": more});
        described
    };
    let manifest = |config: Value, layers: Vec<Value>| {
        Held::of(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}))
    };
    let noted: Vec<Value> = (0..100).map(|_| described(&"x".repeat(10_000))).collect();
    let many: Vec<Value> = (0..1_500).map(|_| described("x")).collect();
    let tags = [
        manifest(described(&"x".repeat(MIB - 1000)), Vec::new()),
        manifest(described(""), noted),
        manifest(described(""), many),
        manifest(longer.named(&json!({})), Vec::new()),
    ];
    assert!(tags.iter().all(|tag| tag.bytes.len() < MIB));
    let registry =
        StandIn::start(move |asked| match tags.iter().enumerate().find(|(number, _)| is_tag(asked, *number)) {
            Some((_, tag)) => tag.answer(),
            None if asked.path.ends_with(&config.digest().to_string()) => without_end(&config),
            None => without_end(&longer),
        })
        .await;
    let held = measured("memory::many_look_ups_of_what_is_made_to_take_memory_do_not", &registry).await;
    println!("{AT_ONCE} look-ups: {held} MiB");
    assert!(held < 30, "{held} MiB");
}

#[tokio::test]
async fn many_attachments_do_not_take_memory_while_a_registry_is_slow_nor_when_they_are_large() {
    if let Some((host, before)) = asks() {
        let slow = env::var(SHAPE).unwrap() == "slow";
        let registry = patient(&host, if slow { Duration::from_secs(3) } else { Duration::from_secs(60) });
        let signed = Digest::of(b"signed");
        let read = |number: usize| {
            let (registry, name) = (registry.clone(), format!("{host}/{number}"));
            async move {
                let name = ImageRef::parse(&name).unwrap();
                let found = registry.attached(&name, signed, &[Digest::of(b"index")], None).await;
                // As long as something is verified.
                sleep(Duration::from_millis(20)).await;
                found.map(|found| found.image.iter().map(|one| one.content.len()).sum::<usize>())
            }
        };
        for found in join_all((0..if slow { JUDGED } else { LARGE }).map(read)).await {
            match found {
                Err(problem) => assert!(slow && problem.to_string().contains("in time"), "{problem}"),
                Ok(read) => assert!(!slow && read == 30 * MIB, "{read}"),
            }
        }
        return println!("\n{MARK}{}", grown(before));
    }
    for (shape, each, most) in [("slow", vec![MIB, 960 << 10], 50), ("large", vec![14 * MIB, 16 * MIB], 60)] {
        let blobs: Vec<Held> = each.iter().map(|length| signature(*length)).collect();
        let layers: Vec<Value> = blobs.iter().map(|blob| blob.named(&json!({}))).collect();
        let digests: Vec<String> = blobs.iter().map(|blob| blob.digest().to_string()).collect();
        let (config, _) = image(&json!({}));
        let config = config.named(&json!({}));
        let signatures =
            Held::of(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}));
        let registry = StandIn::start(move |asked| {
            let blob = digests.iter().position(|digest| asked.path.ends_with(digest));
            match (asked.path.ends_with(".sig"), blob) {
                (true, _) => signatures.answer(),
                (_, Some(1)) if shape == "slow" => without_end(&blobs[1]),
                (_, Some(number)) => blobs[number].answer(),
                _ => answer(404, &[], ""),
            }
        })
        .await;
        let test = "memory::many_attachments_do_not_take_memory_while_a_registry_is_slow_nor_when_they_are_large";
        let held = measured_as(test, &registry, shape).await;
        println!("{each:?} bytes attached to each image ({shape}): {held} MiB");
        assert!(held < most, "{shape}: {held} MiB");
    }
}

fn signature(length: usize) -> Held {
    Held { media_type: "application/vnd.dev.cosign.simplesigning.v1+json", bytes: vec![b' '; length] }
}

fn is_tag(asked: &Asked, number: usize) -> bool {
    asked.path.ends_with(&format!("/manifests/{number}"))
}

/// All but the last byte.
fn without_end(held: &Held) -> Response {
    let begun = Bytes::copy_from_slice(&held.bytes[..held.bytes.len() - 1]);
    let body = stream::once(async move { Ok::<_, std::io::Error>(begun) }).chain(stream::pending());
    answer(200, &[("content-type", held.media_type)], Body::from_stream(body))
}

fn patient(host: &str, patience: Duration) -> Registry {
    client(Reach { registries: vec![host.to_owned()], ..Reach::default() }, patience, patience)
}

/// Whom this process asks, if it is the one that is measured, and what it held before.
fn asks() -> Option<(String, usize)> {
    Some((env::var(HOST).ok()?, held("VmRSS:")))
}

/// How much more this process has held than before.
fn grown(before: usize) -> usize {
    held("VmHWM:") - before
}

fn held(what: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn measured(test: &str, registry: &StandIn) -> usize {
    measured_as(test, registry, "").await
}

/// The most memory, in MiB, of a process that carries out this test's first part.
async fn measured_as(test: &str, registry: &StandIn, shape: &str) -> usize {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(HOST, &registry.host).env(SHAPE, shape);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let held = said.lines().find_map(|line| line.strip_prefix(MARK));
    assert!(held.is_some(), "{said}");
    held.unwrap().trim().parse::<usize>().unwrap() / 1024
}

const HOST: &str = "FLAMEWARDEN_TEST_ASKS";
const SHAPE: &str = "FLAMEWARDEN_TEST_SHAPE";
const MARK: &str = "held: ";
