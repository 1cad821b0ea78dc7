//! Scans by child processes: with real Grype, and with programs in its place that do what a hostile image may make it do.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flamewarden::model::Digest;
use flamewarden::policy::PolicySet;
use flamewarden::scan::Subject;
use flamewarden::scanner::{Bound, Bounds, Child, ChildSettings, Deliver, Errand, Order, Runner, ScanProblem};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::advisories::advisories;
use crate::image::Image;
use crate::lab::{database, programs};
use crate::pki::Authority;
use crate::registry::{Access, PASSWORD, Registry, USER};
use crate::samples::{RELEASE, openssl};

/// A place for scans with these settings in the document of kind Scanner.
struct Place {
    folder: TempDir,
    runner: Runner,
}

impl Place {
    fn new(grype: &Path, databases: &Path, scanner: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let authorities = folder.path().join("authorities");
        fs::write(&authorities, "authorities").unwrap();
        let runner = Runner::Child(
            Child::new(ChildSettings {
                program: env!("CARGO_BIN_EXE_flamewarden").into(),
                grype: grype.to_owned(),
                databases: databases.to_owned(),
                environment: vec![
                    ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                    ("SSL_CERT_FILE".to_owned(), authorities.display().to_string()),
                ],
                folder: folder.path().join("scans"),
                policies: policies(scanner),
            })
            .unwrap(),
        );
        Place { folder, runner }
    }

    /// Scans that there is anything of; a run's own folder is always there.
    fn left(&self) -> usize {
        let runs = fs::read_dir(self.folder.path().join("scans")).unwrap();
        runs.map(|run| fs::read_dir(run.unwrap().path()).unwrap().count()).sum()
    }
}

pub(crate) fn policies(scanner: &str) -> Arc<ArcSwap<PolicySet>> {
    let scanner = format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Scanner\nspec: {scanner}\n");
    let set = PolicySet::parse([
        ("a", include_str!("../../policies/flame-analysis.yaml")),
        ("g", include_str!("../../policies/flame-gateway.yaml")),
        ("i", include_str!("../../policies/installation.yaml.example")),
        ("s", scanner.as_str()),
    ]);
    Arc::new(ArcSwap::from_pointee(set.unwrap()))
}

fn errand(registry: &str, image: &Image, credential: Option<&str>) -> Errand {
    Errand {
        repository: format!("{registry}/team/app"),
        digest: Digest::parse(&image.manifest.digest()).unwrap(),
        platform: Some("linux/amd64".to_owned()),
        credential: credential.map(str::to_owned),
        authorities: None,
        insecure: true,
    }
}

fn image() -> Image {
    let new = openssl("3.0.12-1");
    Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &new)])
}

#[tokio::test]
async fn a_child_brings_the_report_of_the_image_and_leaves_nothing_behind() {
    let registry = Registry::start().await;
    let databases = database(&advisories(SignedDuration::from_hours(1)));
    let image = image();
    registry.push("team/app", &image).await;
    let place = Place::new(&programs().join("grype"), databases.path(), "{}");
    let evidence = place.runner.run(&errand(&registry.host, &image, None)).await.unwrap();
    assert_eq!(evidence.report.digest(), Some(image.manifest.digest().as_str()));
    let subject = Subject { digest: image.manifest.digest(), platform: Some("linux/amd64".to_owned()) };
    let policy = flamewarden::policy::ScanPolicy::default();
    let now = jiff::Timestamp::now();
    let verdict = flamewarden::scan::assess(&evidence.report, Some(&evidence.census), Some(&subject), &policy, now);
    assert_eq!(verdict.outcome, flamewarden::model::ScanOutcome::Pass, "{verdict:?}");
    assert_eq!(place.left(), 0);
}

#[tokio::test]
async fn a_registry_with_an_authority_of_its_own_is_believed_by_that_alone() {
    let registry = Registry::with_tls().await;
    let databases = database(&advisories(SignedDuration::from_hours(1)));
    let image = image();
    registry.push("team/app", &image).await;
    let place = Place::new(&programs().join("grype"), databases.path(), "{}");
    let others = Authority::new("another").certificate;
    let both = format!("{others}{}", registry.authority.as_ref().unwrap());
    for (authorities, is_believed) in [(None, false), (Some(others), false), (Some(both), true)] {
        let errand = Errand { authorities, insecure: false, ..errand(&registry.host, &image, None) };
        match place.runner.run(&errand).await {
            Ok(evidence) => assert!(is_believed && evidence.report.digest() == Some(image.manifest.digest().as_str())),
            Err(ScanProblem::Grype(told)) => assert!(!is_believed && told.contains("certificate"), "{told}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_one_credential_opens_the_one_registry() {
    let registry = Registry::with(Access::Private).await;
    let databases = database(&advisories(SignedDuration::from_hours(1)));
    let image = image();
    registry.push("team/app", &image).await;
    let place = Place::new(&programs().join("grype"), databases.path(), "{}");
    let with = |password: &str| {
        serde_json::json!({"auths": {&registry.host: {"username": USER, "password": password}}}).to_string()
    };
    let scanned = |credential: Option<String>| {
        let (registry, image, runner) = (&registry, &image, &place.runner);
        async move { runner.run(&errand(&registry.host, image, credential.as_deref())).await }
    };
    assert!(scanned(Some(with(PASSWORD))).await.is_ok());
    for credential in [None, Some(with("guessed"))] {
        let problem = scanned(credential).await.unwrap_err();
        assert!(matches!(&problem, ScanProblem::Grype(told) if told.contains("grype came to no end (exit status: 1)")));
        assert!(problem.may_pass() && !problem.to_string().contains("guessed"), "{problem}");
    }
    assert_eq!(place.left(), 0);
}

/// A program in Grype's place, and a word that is in the arguments of whatever it starts.
struct StandIn {
    folder: TempDir,
    mark: String,
}

impl StandIn {
    fn new(script: &str) -> StandIn {
        let folder = tempfile::tempdir().unwrap();
        // A time to sleep that no other process sleeps.
        let mark = format!("{}.{}", 1000 + std::process::id(), rand(&folder));
        let program = folder.path().join("grype");
        fs::write(&program, format!("#!/bin/sh\nmark={mark}\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        StandIn { folder, mark }
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("grype")
    }

    /// What it has started and still runs.
    fn running(&self) -> Vec<String> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
        lines.filter(|line| line.contains(&self.mark)).collect()
    }
}

fn rand(folder: &TempDir) -> u32 {
    folder.path().to_str().unwrap().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        % 1_000_000
}

#[tokio::test]
async fn what_takes_more_than_it_may_is_ended_with_all_that_it_started() {
    let small = "{timeoutSeconds: 60, memory: 100Mi, disk: 50Mi}";
    let escapes = "setsid sleep $mark & (sleep $mark &) ; (setsid sh -c 'sleep '$mark' & sleep '$mark &)";
    let eat = |bytes: u32| format!("perl -e '$n = {bytes}; $x = \"x\" x $n; sleep '$mark");
    for (what, scanner, script, want) in [
        ("too long", "{timeoutSeconds: 1}", "sleep $mark".to_owned(), Bound::Time),
        ("memory", small, eat(120 << 20), Bound::Memory),
        ("memory of many", small, format!("{0} & {0} & {0}", eat(40 << 20)), Bound::Memory),
        ("one large file", small, "yes > large; sleep $mark".to_owned(), Bound::Disk),
        (
            "large files",
            small,
            "for i in 1 2 3 4 5 6 7 8; do yes | head -c 10000000 > $i; done; sleep $mark".to_owned(),
            Bound::Disk,
        ),
        (
            "a file without a name",
            small,
            "exec 3> gone; rm gone; yes | head -c 52428800 >&3; exec sleep $mark".to_owned(),
            Bound::Disk,
        ),
        (
            "processes",
            small,
            "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do sleep $mark & done; wait".to_owned(),
            Bound::Processes,
        ),
    ] {
        let stand_in = StandIn::new(&format!("{escapes}\n{script}\nsleep $mark"));
        let place = Place::new(&stand_in.program(), Path::new("/nowhere"), scanner);
        let image = image();
        let problem = place.runner.run(&errand("registry.example", &image, None)).await.unwrap_err();
        assert_eq!(problem, ScanProblem::Exceeded(want), "{what}");
        assert_eq!((stand_in.running(), place.left()), (vec![], 0), "{what}");
    }
}

/// Between two looks at it, too.
#[tokio::test]
async fn a_process_can_never_have_much_more_than_all_may() {
    let stand_in =
        StandIn::new("perl -e '$x = \"x\" x (2 << 30); print STDERR \"had it\\n\"' || echo refused >&2; exit 1");
    let place = Place::new(&stand_in.program(), Path::new("/nowhere"), "{memory: 100Mi}");
    let problem = place.runner.run(&errand("registry.example", &image(), None)).await.unwrap_err();
    assert_eq!(problem, ScanProblem::Grype("grype came to no end (exit status: 1): refused".to_owned()));
}

/// What it is told and may touch: nothing of the controller's.
#[tokio::test]
async fn the_program_has_nothing_but_what_a_scan_takes() {
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("key"), "the controller's").unwrap();
    let key = secret.path().join("key").display().to_string();
    let me = std::process::id();
    for (what, script, want) in [
        ("its folder", "echo x > mine && cat mine".to_owned(), "x"),
        ("the authorities that are named", "cat $SSL_CERT_FILE".to_owned(), "authorities"),
        ("a file of this user's", format!("cat {key} || echo kept"), "kept"),
        ("writing elsewhere", format!("echo x >> {key} || echo kept"), "kept"),
        ("a shared folder", "echo x > /dev/shm/$mark || echo kept".to_owned(), "kept"),
        ("this process", format!("kill -STOP {me} || echo kept"), "kept"),
        ("its memory", format!("cat /proc/{me}/environ || echo kept"), "kept"),
        ("the environment", "env | cut -d= -f1 | sort | tr '\\n' ' '".to_owned(), VARIABLES),
        (
            "the credential",
            "stat -c '%a %n' $DOCKER_CONFIG $DOCKER_CONFIG/config.json | sed 's,/.*/,,' | tr '\\n' ' '".to_owned(),
            "700 docker 600 config.json",
        ),
        ("its content", "cat $DOCKER_CONFIG/config.json".to_owned(), "hunter2"),
        ("arguments", "tr '\\0' '\\n' < /proc/$$/cmdline | grep -c hunter2".to_owned(), "0"),
        ("rights", "grep NoNewPrivs /proc/self/status | tr -d '\\t'".to_owned(), "NoNewPrivs:1"),
        ("standard input", "cat; echo ended".to_owned(), "ended"),
    ] {
        let stand_in = StandIn::new(&format!("({script}) 2>/dev/null | tail -1 >&2\nexit 1"));
        let place = Place::new(&stand_in.program(), Path::new("/nowhere"), "{}");
        let problem = place.runner.run(&errand("registry.example", &image(), Some("hunter2"))).await.unwrap_err();
        let want = format!("grype came to no end (exit status: 1): {want}");
        assert_eq!(problem.to_string().trim(), want, "{what}");
    }
    assert_eq!(fs::read_to_string(&key).unwrap(), "the controller's");
}

const VARIABLES: &str = "DOCKER_CONFIG GOMEMLIMIT GRYPE_DB_CACHE_DIR GRYPE_REGISTRY_INSECURE_USE_HTTP HOME PATH PWD SSL_CERT_FILE TMPDIR XDG_CACHE_HOME XDG_CONFIG_HOME";

#[tokio::test]
async fn what_is_brought_is_read_as_nobodys() {
    for (what, script, want) in [
        ("nothing", "true", "No such file"),
        ("no report", "echo '{}' > report.json; echo '{}' > sbom.json", "no Grype report"),
        ("somebody else's file", "ln -s /etc/hostname report.json", "symbolic links"),
        ("a pipe that nobody writes to", "mkfifo report.json", "it is no file"),
        ("a folder", "mkdir report.json", "it is no file"),
        ("more than is read", "yes ' ' | head -c 140000000 > report.json", "longer than 128 MiB"),
    ] {
        let stand_in = StandIn::new(script);
        let place = Place::new(&stand_in.program(), Path::new("/nowhere"), "{}");
        let problem = place.runner.run(&errand("registry.example", &image(), None)).await.unwrap_err();
        assert!(matches!(&problem, ScanProblem::Evidence(told) if told.contains(want)), "{what}: {problem}");
        assert!(!problem.may_pass() && place.left() == 0, "{what}");
    }
}

#[tokio::test]
async fn a_scan_that_nobody_waits_for_ends_with_all_that_it_started() {
    let stand_in = StandIn::new("setsid sleep $mark & (sleep $mark &)\ntouch begun\nsleep $mark");
    let place = Place::new(&stand_in.program(), Path::new("/nowhere"), "{}");
    let (image, begun) = (image(), async { until(|| stand_in.running().len() >= 3).await });
    let errand = errand("registry.example", &image, None);
    tokio::select! {
        done = place.runner.run(&errand) => panic!("it ended: {done:?}"),
        () = begun => {}
    }
    until(|| stand_in.running().is_empty() && place.left() == 0).await;
}

#[tokio::test]
async fn nothing_outlives_a_controller_or_a_worker_that_is_killed() {
    let escapes = "setsid sleep $mark & (sleep $mark &)\nsleep $mark";
    // A kernel closes what a killed controller had open; a killed worker can end nothing but what dies with it.
    for (script, count, killed) in [(escapes, 3, "controller"), ("exec sleep $mark", 1, "worker")] {
        let (stand_in, room) = (StandIn::new(script), tempfile::tempdir().unwrap());
        let order = Order {
            image: "registry.example/team/app@sha256:0".to_owned(),
            platform: None,
            credential: None,
            authorities: None,
            insecure: false,
            grype: stand_in.program(),
            databases: "/nowhere".into(),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            bounds: Bounds { time: 600, memory: 1 << 30, disk: 1 << 30, processes: 16 },
            deliver: Deliver::Folder(room.path().to_owned()),
        };
        let mut worker = Command::new(env!("CARGO_BIN_EXE_flamewarden"))
            .args(["scan-worker", "run", "--order=-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut orders = worker.stdin.take().unwrap();
        writeln!(orders, "{}", serde_json::to_string(&order).unwrap()).unwrap();
        until(|| stand_in.running().len() >= count).await;
        match killed {
            "controller" => drop(orders),
            _ => worker.kill().unwrap(),
        }
        until(|| stand_in.running().is_empty()).await;
        assert_eq!(worker.wait().unwrap().code(), (killed == "controller").then_some(26));
    }
}

/// Waits for what comes from outside the test's process.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waited).await.expect("it does not come");
}
