//! Many objects, stored by several callers at once.

use serde_json::Value;

use crate::caller::Caller;
use crate::control_plane::ControlPlane;

/// As many administrators, each with a connection of its own.
pub(crate) async fn callers(plane: &ControlPlane, count: usize) -> Vec<Caller> {
    let mut callers = Vec::new();
    for number in 0..count {
        callers.push(plane.caller(&format!("creator-{number}"), Some("system:masters")).await);
    }
    callers
}

/// Creates objects, each caller one after the other.
pub(crate) async fn store(callers: &[Caller], path: &str, count: usize, object: impl Fn(usize) -> Value) {
    let object = &object;
    let each = callers.iter().enumerate().map(|(first, caller)| async move {
        for number in (first..count).step_by(callers.len()) {
            let stored = caller.create(path, &object(number)).await;
            stored.unwrap_or_else(|refusal| panic!("{path}: {}", refusal.message));
        }
    });
    futures::future::join_all(each).await;
}
