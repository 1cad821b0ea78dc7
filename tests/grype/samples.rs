//! Files of the images that tests make.

/// Debian 12.
pub(crate) const RELEASE: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
/// An npm package with a hole.
pub(crate) const LODASH: (&str, &str) =
    ("app/node_modules/lodash/package.json", r#"{"name":"lodash","version":"4.17.20"}"#);

/// Debian's list of packages with one in it.
pub(crate) fn openssl(version: &str) -> String {
    format!(
        "Package: openssl\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\nDescription: x\n\n"
    )
}
