//! The programs as their printed Deployments start them, beside the cluster instead of in its pods.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::program;
use crate::part::Recipe;

/// All that differs beside the cluster. What the Deployment says and this does not stays as it was printed.
pub(crate) struct Beside<'a> {
    /// What messages and the log are called.
    pub(crate) name: &'a str,
    /// The pod's name, which a container finds in its environment.
    pub(crate) pod: &'a str,
    /// Instead of the service account's token, which every container finds in the same place.
    pub(crate) kubeconfig: PathBuf,
    /// For each volume of the pod, by its name, the folder that stands for it.
    pub(crate) volumes: &'a [(&'a str, PathBuf)],
    /// For each port on which the program listens, by its name, where it listens here.
    pub(crate) ports: &'a [(&'a str, SocketAddr)],
    /// Where the log goes.
    pub(crate) folder: &'a Path,
}

/// Starts the program by a Deployment's own arguments.
pub(crate) fn as_printed(deployment: &Value, beside: &Beside<'_>) -> Recipe {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let told = ["command", "envFrom", "workingDir", "lifecycle"].map(|field| &container[field]);
    assert_eq!(told, [&Value::Null; 4], "nothing but arguments and its address is told to {}", beside.name);
    let address = container["env"].as_array().map(|variables| {
        let told = |one: &Value| json!([one["name"], one["valueFrom"]["fieldRef"]["fieldPath"]]);
        assert_eq!(variables.iter().map(told).collect::<Vec<_>>(), [json!(["POD_IP", "status.podIP"])]);
        ("POD_IP".to_owned(), "127.0.0.1".to_owned())
    });
    let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap().to_owned());
    let mut arguments: Vec<String> = arguments.collect();
    // Room that nobody tells the program of.
    let rooms = ["received", "temporary"];
    let mounted: Vec<&str> =
        names(&container["volumeMounts"]).into_iter().filter(|name| !rooms.contains(name)).collect();
    assert_eq!(mounted, beside.volumes.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "of {}", beside.name);
    for (name, folder) in beside.volumes {
        let path = named(&container["volumeMounts"], name)["mountPath"].as_str().unwrap();
        replace(&mut arguments, path, &folder.display().to_string());
    }
    for (name, address) in beside.ports {
        let port = &named(&container["ports"], name)["containerPort"];
        replace(&mut arguments, &format!("0.0.0.0:{port}"), &address.to_string());
    }
    Recipe {
        name: beside.name.to_owned(),
        program: program(),
        arguments,
        environment: [
            ("HOSTNAME".to_owned(), beside.pod.to_owned()),
            ("KUBECONFIG".to_owned(), beside.kubeconfig.display().to_string()),
        ]
        .into_iter()
        .chain(address)
        .collect(),
        log: beside.folder.join(format!("{}.log", beside.name)),
    }
}

/// Gives the one option that has a value another.
fn replace(arguments: &mut [String], value: &str, instead: &str) {
    let ending = format!("={value}");
    let mut options = arguments.iter_mut().filter(|argument| argument.ends_with(&ending));
    let (Some(option), None) = (options.next(), options.next()) else { panic!("not one option is {value}") };
    *option = option.replace(&ending, &format!("={instead}"));
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|one| one["name"] == *name).expect("it is listed")
}
