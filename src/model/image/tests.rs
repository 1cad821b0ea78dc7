//! Image references: as the published library reads them, and whether they are of a registry or on a list.

use super::{ImageProblem, ImageRef};

const F64: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// What the published library makes of each text, by itself; where we refuse more, the row says why.
#[test]
fn references_are_read_as_the_published_library_reads_them() {
    let mut rows = 0;
    for row in include_str!("vectors.txt").lines().filter(|row| !row.starts_with('#')) {
        let columns: Vec<&str> = row.split('\t').collect();
        let (text, want) = match columns[..] {
            [text, "-"] | [text, _, _] => (text, None),
            [text, canonical] => (text, Some(canonical)),
            _ => panic!("two columns or three: {row}"),
        };
        let read = ImageRef::parse(text);
        assert_eq!(read.map(|image| image.to_string()).ok().as_deref(), want, "{text}: {read:?}");
        // Host, path, tag and digest are what stands between the same separators.
        if let Ok(image) = read {
            let whole =
                |before: &str, part: Option<&str>| part.map(|part| format!("{before}{part}")).unwrap_or_default();
            let (tag, digest) = (whole(":", image.tag), whole("@", image.digest));
            assert_eq!(format!("{}/{}{tag}{digest}", image.host, image.path()), image.to_string());
            assert!(!image.host.contains('/') && !image.path().contains([':', '@']), "{image:?}");
            assert_eq!(ImageRef::parse(&image.to_string()).map(|again| again.to_string()), Ok(image.to_string()));
        }
        rows += 1;
    }
    assert!(rows > 400, "{rows} rows");
}

/// Which part of a text is wrong.
const NO_REFERENCES: &[(&str, ImageProblem)] = &[
    ("", ImageProblem::Empty),
    (":justtag", ImageProblem::Name),
    ("@SHA256", ImageProblem::Name),
    ("repo@sha256:ffffffffffffffffffffffffffffffffff", ImageProblem::Digest),
    ("validname@invaliddigest:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", ImageProblem::Digest),
    ("Uppercase:tag", ImageProblem::Name),
    ("test:5000/Uppercase/lowercase:tag", ImageProblem::Name),
    ("aa/asdf$$^/aa", ImageProblem::Name),
    ("[2001:db8::1]", ImageProblem::Tag),
    ("[2001:db8::1]:5000", ImageProblem::Tag),
    ("[fe80::1%eth0]:5000/repo", ImageProblem::Name),
    ("[fe80::1%@invalidzone]:5000/repo", ImageProblem::Digest),
    ("registry.com:8080/myapp@sha256:badbadbadbad", ImageProblem::Digest),
    ("registry.com:8080/myapp:invalid~tag", ImageProblem::Tag),
    ("bad_hostname.com:8080/myapp:tag", ImageProblem::Name),
    ("localhost:http/name@SHA256", ImageProblem::Name),
    ("registry.com:8080/myapp@bad", ImageProblem::Digest),
    ("registry.com:8080/myapp@2bad", ImageProblem::Digest),
    ("https://github.com/docker/docker", ImageProblem::Name),
    ("docker/Docker", ImageProblem::Name),
    ("-docker", ImageProblem::Name),
    ("-docker/docker", ImageProblem::Name),
    ("-docker.io/docker/docker", ImageProblem::Name),
    ("docker///docker", ImageProblem::Name),
    ("docker.io/docker/Docker", ImageProblem::Name),
    ("docker.io/docker///docker", ImageProblem::Name),
    ("fc00::1:5000/debian", ImageProblem::Name),
    ("[2001:db8:3:4::192.0.2.33]:5000/debian", ImageProblem::Name),
    ("1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a", ImageProblem::Name),
    ("docker-/docker", ImageProblem::Name),
    ("____/____", ImageProblem::Name),
    ("_docker/_docker", ImageProblem::Name),
    ("docker_/docker_", ImageProblem::Name),
    ("dock..er/docker", ImageProblem::Name),
    ("dock_.er/docker", ImageProblem::Name),
    ("dock-.er/docker", ImageProblem::Name),
    ("docker/", ImageProblem::Name),
    ("a/a/a/a/", ImageProblem::Name),
    ("a//a/a", ImageProblem::Name),
    ("foo.com/", ImageProblem::Name),
    ("foo.com/a-/a/a", ImageProblem::Name),
    ("foo/bar-", ImageProblem::Name),
    ("foo/-bar", ImageProblem::Name),
    ("example.com/__underscore/myimage", ImageProblem::Name),
    ("example.com/.dots/myimage", ImageProblem::Name),
    ("example.com/nodouble..dots/myimage", ImageProblem::Name),
    ("docker./docker", ImageProblem::Name),
    (".docker/docker", ImageProblem::Name),
    ("do..cker/docker", ImageProblem::Name),
    ("do__cker:8080/docker", ImageProblem::Name),
    ("Foo/FarB", ImageProblem::Name),
    ("busybox:-foo", ImageProblem::Tag),
    ("busybox@foo", ImageProblem::Digest),
    ("busybox:", ImageProblem::Tag),
    ("busybox@", ImageProblem::Digest),
    ("busybox@SHA256@SHA256", ImageProblem::Digest),
    ("user@harbor.example/node/a", ImageProblem::Digest),
    ("user:secret@harbor.example/node/a", ImageProblem::Digest),
    ("harbor.еxample/node/a", ImageProblem::Name),
    ("harbor.example/nоde/a", ImageProblem::Name),
    (" busybox", ImageProblem::Name),
    ("busybox ", ImageProblem::Name),
    ("busybox\n", ImageProblem::Name),
    ("harbor.example./node/a", ImageProblem::Name),
    ("harbor.example:/node/a", ImageProblem::Name),
    ("harbor.example/node/../a", ImageProblem::Name),
    ("harbor.example/node/a%2fb", ImageProblem::Name),
];

#[test]
fn what_is_no_reference_is_refused() {
    let sha256 = format!("sha256:{F64}");
    for (text, problem) in NO_REFERENCES {
        let text = text.replace("SHA256", &sha256);
        assert_eq!(ImageRef::parse(&text), Err(*problem), "{text:?}");
    }
    let upper = format!("busybox@sha256:{}", F64.to_uppercase());
    assert_eq!(
        ImageRef::parse(&upper),
        Err(ImageProblem::Digest),
        "runtimes differ about capitals, so they are refused"
    );
    let long = format!("{}a:tag", "a/".repeat(128));
    assert_eq!(ImageRef::parse(&long), Err(ImageProblem::Long));
    assert_eq!(ImageRef::parse(&format!("busybox:{}", "t".repeat(129))), Err(ImageProblem::Tag));
}

#[test]
fn a_registry_is_a_host_and_whole_path_components() {
    for (image, registry, is_below) in [
        ("harbor.example/node/a", "harbor.example", true),
        ("harbor.example/node/a", "harbor.example/", true),
        ("harbor.example/node/a", "harbor.example/node", true),
        ("harbor.example/node/a", "harbor.example/node/", true),
        ("harbor.example/node/a", "harbor.example/nod", false),
        ("harbor.example/node", "harbor.example/node", false),
        ("harbor.example/nodes/a", "harbor.example/node", false),
        ("harbor.example:443/node/a", "harbor.example/node", false),
        ("HARBOR.EXAMPLE/node/a", "harbor.example/node", false),
        ("127.0.0.1/node/a", "localhost", false),
        ("[0:0:0:0:0:0:0:1]/node/a", "[::1]", false),
        ("docker.io:443/library/nginx", "docker.io", false),
        ("DOCKER.IO/library/nginx", "docker.io", false),
        ("registry-1.docker.io/library/nginx", "docker.io", false),
        ("library/nginx", "docker.io/library", true),
        ("harbor.example.org/node/a", "harbor.example", false),
        ("nginx", "docker.io", true),
        ("nginx", "docker.io/library", true),
        ("index.docker.io/nginx", "docker.io/library/", true),
        ("nginx/nginx", "docker.io/library", false),
        ("nginx/nginx", "docker.io/nginx", true),
        ("nginx", "docker.io/nginx", false),
    ] {
        assert_eq!(ImageRef::parse(image).unwrap().is_below(registry), is_below, "{image} below {registry}");
    }
}

#[test]
fn a_list_names_references_or_folders() {
    let pinned = format!("nginx:1.29.8@sha256:{F64}");
    let other = format!("nginx:1.29.8@sha256:{}", F64.replace('f', "0"));
    for (image, entry, is_listed) in [
        ("nginx", "nginx:latest", true),
        ("docker.io/library/nginx:latest", "nginx", true),
        ("nginx:1.29.8", "docker.io/library/nginx:1.29.8", true),
        (&pinned, "nginx:1.29.8", true),
        (&pinned, &pinned, true),
        (&other, &pinned, false),
        ("nginx:1.29.8", &pinned, false),
        ("nginx:1.29", "nginx:1.29.8", false),
        ("harbor.example/nginx:1.29.8", "nginx:1.29.8", false),
        ("harbor.example/mirror/nginx:1", "harbor.example/mirror/", true),
        ("harbor.example/mirrors/nginx:1", "harbor.example/mirror/", false),
        ("nginx", "not a reference", false),
    ] {
        assert_eq!(ImageRef::parse(image).unwrap().is_listed(entry), is_listed, "{image} listed as {entry}");
    }
}
