//! A Secret in a folder, as a kubelet mounts it: a change moves one symlink, and all files change at once.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::time::interval;

use crate::caller::Caller;

/// Keeps a folder like a Secret, for as long as the runtime lives.
pub(crate) fn mount(admin: Caller, secret: String, folder: PathBuf) {
    fs::create_dir_all(&folder).unwrap();
    tokio::spawn(async move {
        let (mut known, mut looks) = (Value::Null, interval(LOOK));
        loop {
            looks.tick().await;
            // A Secret that is gone leaves what was mounted.
            let Ok(secret) = admin.get(&secret).await else { continue };
            if secret["metadata"]["resourceVersion"] != known {
                known = secret["metadata"]["resourceVersion"].clone();
                write(&folder, known.as_str().unwrap(), &secret["data"]);
            }
        }
    });
}

fn write(folder: &Path, version: &str, data: &Value) {
    let name = format!("..{version}");
    fs::create_dir(folder.join(&name)).unwrap();
    for (key, content) in data.as_object().unwrap() {
        let content = STANDARD.decode(content.as_str().unwrap()).unwrap();
        fs::write(folder.join(&name).join(key), content).unwrap();
        let link = folder.join(key);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(key), link).unwrap();
        }
    }
    let former = fs::read_link(folder.join("..data")).ok();
    symlink(&name, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    if let Some(former) = former {
        fs::remove_dir_all(folder.join(former)).unwrap();
    }
}

/// A kubelet takes up to two minutes.
const LOOK: Duration = Duration::from_millis(200);
