//! What cannot be written as it is to be, on the world of values of the plan's tests.

use serde_json::json;

use super::tests::{ID, World, made, running};
use super::*;
use crate::bundle::differences;
use crate::orchestrator::unwritten::How;

#[test]
fn what_is_stored_otherwise_than_it_was_written_is_not_written_again_at_once() {
    let mut world = running();
    let key = (Kind::Deployment, format!("nginx-analysis-{ID}-1"));
    let containers = |world: &mut World| {
        let deployment = world.objects.get_mut(&key).unwrap();
        deployment.pointer_mut("/spec/template/spec/containers").unwrap().as_array_mut().unwrap().len()
    };
    let injected = json!({"name": "injected", "image": "elsewhere.example/sidecar"});
    let one = containers(&mut world);
    let template = world.objects.get_mut(&key).unwrap().pointer_mut("/spec/template/spec").unwrap();
    template["containers"].as_array_mut().unwrap().push(injected);
    assert_eq!(containers(&mut world), one + 1);
    let (Step::Write(_, object), _) = world.plan() else { panic!("{:?}", world.plan()) };
    let fields = differences(&world.objects[&key], &object);
    world.unwritten = Some(Unwritten::after(None, key.clone(), How::Altered(fields), world.now));
    assert_eq!(world.settle(), ["report Started NotStoredAsWritten"]);
    let said = world.analysis.status.conditions[0].message.clone();
    let what = format!("Deployment nginx-analysis-{ID}-1 is stored with another spec.template.spec.containers than");
    assert!(said.starts_with(&what), "{said}");
    let soon = world.now + jiff::SignedDuration::from_secs(1);
    assert_eq!(world.plan(), (Step::Wait, Some(soon)));

    let writes = |world: &World| matches!(world.plan().0, Step::Write(Kind::Deployment, _) | Step::Amend(..));
    let mut scaled = world.clone();
    scaled.objects.get_mut(&key).unwrap()["spec"]["replicas"] = json!(0);
    assert!(writes(&scaled), "what else is another is put right at once");
    let mut gone = world.clone();
    gone.objects.remove(&key);
    assert!(writes(&gone), "and so is what is gone");
    let mut later = world.clone();
    later.now = soon;
    assert_eq!(later.settle(), ["amend Deployment nginx-analysis-ID-1", "report Started Running"], "in a while");

    world.analysis.status.phase = Some(Phase::Executing);
    world.analysis.reported = Some(crate::model::Report { run: 1, phase: Phase::Executed, progress: 100 });
    world.step();
    assert_eq!(world.analysis.status.phase, Some(Phase::Executed), "one that works may end");
}

#[test]
fn what_is_refused_is_not_written_again_at_once() {
    let mut world = World::new("");
    (0..2).for_each(|_| world.step().unwrap());
    let key = (Kind::Service, format!("analysis-{ID}-1"));
    world.unwritten = Some(Unwritten::after(None, key, How::Refused("exceeded quota".to_owned()), world.now));
    let so_far = &made()[..2];
    assert_eq!(world.settle(), [so_far, &["report Starting WriteRefused"]].concat());
    let said = &world.analysis.status.conditions[0].message;
    assert_eq!(*said, format!("Service analysis-{ID}-1 is refused: exceeded quota"));
    world.now = world.unwritten.as_ref().unwrap().until;
    assert_eq!(world.settle(), made()[2..]);
}

#[test]
fn one_whose_own_deployment_is_altered_is_judged_all_the_same() {
    let mut world = running();
    world.analysis.status.phase = Some(Phase::Starting);
    let key = (Kind::Deployment, format!("analysis-{ID}-1"));
    world.objects.get_mut(&key).unwrap()["spec"]["revisionHistoryLimit"] = json!(7);
    let (Step::Write(_, object), _) = world.plan() else { panic!("{:?}", world.plan()) };
    let fields = differences(&world.objects[&key], &object);
    world.unwritten = Some(Unwritten::after(None, key, How::Altered(fields), world.now));
    assert_eq!(world.settle(), ["report Started NotStoredAsWritten"]);
    world.analysis.reported = Some(crate::model::Report { run: 1, phase: Phase::Executed, progress: 100 });
    world.step();
    assert_eq!(world.analysis.status.phase, Some(Phase::Executed));
}

#[test]
fn while_one_object_waits_what_is_there_already_is_kept_right() {
    let mut world = running();
    let service = (Kind::Service, format!("analysis-{ID}-1"));
    world.objects.get_mut(&service).unwrap()["spec"]["ports"] = json!([]);
    world.unwritten = Some(Unwritten::after(None, service, How::Refused("not now".to_owned()), world.now));
    let policy = (Kind::NetworkPolicy, format!("flamewarden-nginx-analysis-{ID}-1"));
    world.objects.get_mut(&policy).unwrap()["spec"]["egress"] = json!([{}]);
    world.objects.remove(&(Kind::Deployment, format!("analysis-{ID}-1")));
    let want = ["write NetworkPolicy flamewarden-nginx-analysis-ID-1", "report Started WriteRefused"];
    assert_eq!(world.settle(), want, "and what is not there is not made");
}
