//! FLAME's Hub adapter finds in the API what it knows: its calls, its tokens, its rules for answers.

use std::process::Command;

use crate::installed::installed;
use crate::keycloak::{HUB_ADAPTER_SECRET, NODE_UI_SECRET, USER_PASSWORD};
use crate::python::{beside, python, run};
use crate::shared;

#[test]
fn every_call_of_the_hub_adapter_is_answered_as_it_expects() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let realm = installed.keycloak.address().below(&["realms", "flame"]);
        let mut adapter = Command::new(python());
        adapter.arg(beside("hub_adapter.py")).args([&installed.guarded.api, realm.as_str()]);
        println!("{}", run(adapter.args([HUB_ADAPTER_SECRET, NODE_UI_SECRET, USER_PASSWORD])).trim());
        installed.empty().await;
    });
}
