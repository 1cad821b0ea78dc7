//! Names of platforms, as images and nodes are compared by them.

/// The name of a platform, such as `linux/arm/v7`, as containerd makes platforms comparable: other names of
/// architectures, and variants that go without saying. None where that is no name of one.
/// <https://github.com/containerd/platforms/blob/main/database.go>
pub fn platform_name(os: &str, architecture: &str, variant: &str) -> Option<String> {
    let [os, architecture, variant] = [os, architecture, variant].map(str::to_ascii_lowercase);
    let os = if os.is_empty() { "linux" } else { &os };
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("", _) => return None,
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        (architecture, variant) => (architecture, variant),
    };
    let parts = [os, architecture, variant];
    let is_word =
        |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    // What is no name of a platform is none that a node has.
    parts.iter().all(is_word).then(|| parts.join("/").trim_end_matches('/').to_owned())
}
