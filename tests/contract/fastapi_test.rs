//! What FastAPI decides for FLAME's Pod Orchestrator is decided here in the same way: routes, methods, faults of a body.

use std::process::Command;

use crate::installed::installed;
use crate::python::{beside, python, run};
use crate::shared;

#[test]
fn routes_methods_and_faults_are_answered_as_fastapi_answers_them() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let token = installed.administrator().await;
        let said = run(Command::new(python()).arg(beside("fastapi_like.py")).args([&installed.guarded.api, &token]));
        println!("{}", said.trim());
        installed.empty().await;
    });
}
