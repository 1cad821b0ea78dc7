//! What the tests' database knows, in the form that `database/main.go` reads.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A database built and captured so long ago.
pub(crate) fn advisories(age: SignedDuration) -> Value {
    let built = (Timestamp::now() - age).to_string();
    let providers = ["debian", "epss", "github", "kev", "nvd"].map(|name| (name.to_owned(), json!(built)));
    json!({
        "built": built,
        "providers": serde_json::Map::from_iter(providers),
        "advisories": [
            {
                "id": "CVE-2026-0001", "provider": "debian", "ecosystem": "deb", "package": "openssl", "distribution": "debian",
                "release": "12", "kind": "dpkg", "constraint": "< 3.0.12-1", "severity": "critical", "fixState": "fixed",
                "fixVersion": "3.0.12-1", "epss": 0.4,
            },
            {
                "id": "CVE-2026-0002", "provider": "debian", "ecosystem": "deb", "package": "openssl", "distribution": "debian",
                "release": "12", "kind": "dpkg", "constraint": "", "severity": "medium", "fixState": "wont-fix",
            },
            {
                "id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2026-0003"], "provider": "github", "ecosystem": "npm",
                "package": "lodash", "kind": "semver", "constraint": "<4.17.21", "severity": "high",
                "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "fixState": "fixed", "fixVersion": "4.17.21",
            },
            {
                "id": "CVE-2026-0003", "provider": "nvd", "ecosystem": "npm", "package": "unused", "kind": "semver",
                "constraint": "<0", "severity": "critical", "fixState": "fixed", "fixVersion": "1", "knownExploited": true,
                "epss": 0.9,
            },
        ],
    })
}
