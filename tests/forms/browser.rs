//! A headless Chromium, driven by the DevTools protocol over a pair of pipes, so that no port is open.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// A browser of its own for each test; it ends with the test.
pub(crate) struct Browser {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    number: u64,
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

/// One file, shown.
pub(crate) struct Page<'b> {
    browser: &'b mut Browser,
    session: Value,
}

/// How a page is shown.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    /// `light` or `dark`, as the user prefers.
    pub(crate) scheme: &'static str,
    /// In CSS pixels.
    pub(crate) width: u32,
}

impl Browser {
    pub(crate) fn start() -> Browser {
        let profile = tempfile::tempdir().unwrap();
        // The protocol is spoken on descriptors 3 and 4, and a browser that hangs is ended.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=2", "300", "sh", "-c", r#"exec "$@" 3<&0 4>&1 </dev/null >&2"#, "sh"]);
        command.arg("chromium-headless-shell").args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (to, from) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Browser { process, to, from, number: 0, events: Vec::new(), _profile: profile }
    }

    /// Opens a file as somebody would who sees it so.
    pub(crate) fn open(&mut self, file: &Path, look: Look) -> Page<'_> {
        self.open_at(&format!("file://{}", file.display()), look)
    }

    /// The same with whatever has an address.
    pub(crate) fn open_at(&mut self, address: &str, look: Look) -> Page<'_> {
        let target = self.call(&Value::Null, "Target.createTarget", json!({"url": "about:blank"}));
        let attached = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call(&Value::Null, "Target.attachToTarget", attached)["sessionId"].take();
        let mut page = Page { browser: self, session };
        for part in ["Page", "Network", "Log", "Runtime"] {
            page.call(&format!("{part}.enable"), json!({}));
        }
        page.look(look);
        page.go(address);
        page
    }

    fn call(&mut self, session: &Value, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !session.is_null() {
            message["sessionId"] = session.clone();
        }
        self.to.as_mut().unwrap().write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut message = self.read();
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn read(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&message).unwrap()
    }
}

impl Page<'_> {
    /// Shows it otherwise from now on.
    pub(crate) fn look(&mut self, Look { scheme, width }: Look) {
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", scheme);
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Goes to an address in the same place.
    pub(crate) fn go(&mut self, address: &str) {
        self.led("Page.navigate", json!({"url": address}));
    }

    /// Does what leads to another page, and waits for that.
    pub(crate) fn led(&mut self, method: &str, parameters: Value) {
        self.browser.events.clear();
        self.call(method, parameters);
        while !self.browser.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.browser.read();
            self.browser.events.push(event);
        }
    }

    /// What the page has asked for besides itself, and what it has written to the console, since it was opened.
    pub(crate) fn side_effects(&self) -> Vec<String> {
        let requests = self.browser.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let others = requests.filter(|event| event["params"]["type"] != "Document");
        let words = ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"];
        let said = self.browser.events.iter().filter(|event| words.iter().any(|word| event["method"] == *word));
        others.map(|event| event["params"]["request"]["url"].to_string()).chain(said.map(Value::to_string)).collect()
    }

    /// The value of an expression in the page, once it is there.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// The whole page as a picture.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].take();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let answer = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true, "clip": clip}));
        STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }

    /// The page as a PDF, as its own style wants it printed.
    pub(crate) fn print(&mut self) -> Vec<u8> {
        let answer = self.call("Page.printToPDF", json!({"preferCSSPageSize": true, "printBackground": false}));
        STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }

    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        let session = self.session.clone();
        self.browser.call(&session, method, parameters)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser whose pipe closes ends by itself, and its profile goes after it.
        self.to = None;
        let _ = self.process.wait();
    }
}

const FLAGS: [&str; 6] = [
    "--remote-debugging-pipe",
    // The sandbox takes rights that containers and root do not have; what is shown is ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
];
