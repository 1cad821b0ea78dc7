//! What is done with a page that leads somewhere, and has a script and cookies.

use serde_json::{Value, json};

use crate::browser::Page;

impl Page<'_> {
    /// Does something in the page that leads to another one, and waits for it.
    pub(crate) fn follow(&mut self, expression: &str) {
        self.led("Runtime.evaluate", json!({"expression": expression}));
    }

    /// Whether the page's own scripts run.
    pub(crate) fn scripts(&mut self, run: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !run}));
    }

    /// Names and values of the cookies that the page's server is sent.
    pub(crate) fn cookies(&mut self) -> Vec<(String, String)> {
        let found = self.call("Network.getCookies", json!({}))["cookies"].take();
        let text = |cookie: &Value, name: &str| cookie[name].as_str().unwrap().to_owned();
        found.as_array().unwrap().iter().map(|cookie| (text(cookie, "name"), text(cookie, "value"))).collect()
    }
}
