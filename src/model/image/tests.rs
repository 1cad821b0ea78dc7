//! The published vectors of github.com/distribution/reference (Apache-2.0), and the aliases of one registry.

use super::{ImageProblem, ImageRef};

const F64: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// Host and path, tag and digest of a reference, or why it is none.
fn read(text: &str) -> Result<(String, Option<&str>, Option<&str>), ImageProblem> {
    ImageRef::parse(text).map(|image| (format!("{}/{}", image.host, image.path()), image.tag, image.digest))
}

/// `reference_test.go`, TestReferenceParse, with the names that `ParseNormalizedNamed` makes of them.
#[test]
fn references_are_split_as_published() {
    let sha256 = format!("sha256:{F64}");
    let sha512 = format!("sha512:{F64}{F64}");
    for (text, name, tag, digest) in [
        ("test_com", "docker.io/library/test_com", None, None),
        ("test.com:tag", "docker.io/library/test.com", Some("tag"), None),
        ("test.com:5000", "docker.io/library/test.com", Some("5000"), None),
        ("test.com/repo:tag", "test.com/repo", Some("tag"), None),
        ("test:5000/repo", "test:5000/repo", None, None),
        ("test:5000/repo:tag", "test:5000/repo", Some("tag"), None),
        ("test:5000/repo@SHA256", "test:5000/repo", None, Some(&sha256)),
        ("test:5000/repo:tag@SHA256", "test:5000/repo", Some("tag"), Some(&sha256)),
        ("lowercase:Uppercase", "docker.io/library/lowercase", Some("Uppercase"), None),
        ("sub-dom1.foo.com/bar/baz/quux", "sub-dom1.foo.com/bar/baz/quux", None, None),
        ("sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com/bar/baz/quux", Some("some-long-tag"), None),
        (
            "b.gcr.io/test.example.com/my-app:test.example.com",
            "b.gcr.io/test.example.com/my-app",
            Some("test.example.com"),
            None,
        ),
        ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage", Some("xn--n3h.com"), None),
        ("xn--7o8h.com/myimage:xn--7o8h.com@SHA512", "xn--7o8h.com/myimage", Some("xn--7o8h.com"), Some(&sha512)),
        ("foo_bar.com:8080", "docker.io/library/foo_bar.com", Some("8080"), None),
        ("foo/foo_bar.com:8080", "docker.io/foo/foo_bar.com", Some("8080"), None),
        ("192.168.1.1", "docker.io/library/192.168.1.1", None, None),
        ("192.168.1.1:tag", "docker.io/library/192.168.1.1", Some("tag"), None),
        ("192.168.1.1:5000", "docker.io/library/192.168.1.1", Some("5000"), None),
        ("192.168.1.1/repo", "192.168.1.1/repo", None, None),
        ("192.168.1.1:5000/repo", "192.168.1.1:5000/repo", None, None),
        ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000/repo", Some("5050"), None),
        ("[2001:db8::1]/repo", "[2001:db8::1]/repo", None, None),
        ("[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]/repo", Some("tag"), None),
        ("[2001:db8::1]:5000/repo", "[2001:db8::1]:5000/repo", None, None),
        ("[2001:db8::1]:5000/repo:tag", "[2001:db8::1]:5000/repo", Some("tag"), None),
        ("[2001:db8::1]:5000/repo@SHA256", "[2001:db8::1]:5000/repo", None, Some(&sha256)),
        ("[2001:db8::1]:5000/repo:tag@SHA256", "[2001:db8::1]:5000/repo", Some("tag"), Some(&sha256)),
        ("[2001:db8::]:5000/repo", "[2001:db8::]:5000/repo", None, None),
        ("[::1]:5000/repo", "[::1]:5000/repo", None, None),
        ("localhost:8080@SHA256", "docker.io/library/localhost", Some("8080"), Some(&sha256)),
        ("localhost:8080/name@SHA256", "localhost:8080/name", None, Some(&sha256)),
        ("localhost@SHA256", "docker.io/library/localhost", None, Some(&sha256)),
    ] {
        let text = text.replace("SHA256", &sha256).replace("SHA512", &sha512);
        assert_eq!(read(&text), Ok((name.to_owned(), tag, digest.map(String::as_str))), "{text}");
    }
}

/// What the published tests refuse, and what we refuse besides: double `@`, userinfo, other scripts, spaces.
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
        assert_eq!(read(&text), Err(*problem), "{text:?}");
    }
    let upper = format!("busybox@sha256:{}", F64.to_uppercase());
    assert_eq!(read(&upper), Err(ImageProblem::Digest), "runtimes differ about capitals, so they are refused");
    let long = format!("{}a:tag", "a/".repeat(128));
    assert_eq!(read(&long), Err(ImageProblem::Long));
    assert_eq!(read(&format!("busybox:{}", "t".repeat(129))), Err(ImageProblem::Tag));
}

/// `normalize_test.go`, TestParseRepositoryInfo: all ways to write one repository.
#[test]
fn one_repository_has_one_name() {
    for (name, ways) in [
        ("docker.io/fooo/bar", &["fooo/bar", "docker.io/fooo/bar", "index.docker.io/fooo/bar"][..]),
        ("docker.io/library/ubuntu", &["ubuntu", "docker.io/library/ubuntu", "library/ubuntu", "docker.io/ubuntu"]),
        ("docker.io/nonlibrary/ubuntu", &["nonlibrary/ubuntu"]),
        ("docker.io/other/library", &["other/library"]),
        ("127.0.0.1:8000/private/moonbase", &["127.0.0.1:8000/private/moonbase"]),
        ("example.com/privatebase", &["example.com/privatebase"]),
        ("docker.io/library/ubuntu-12.04-base", &["ubuntu-12.04-base", "index.docker.io/library/ubuntu-12.04-base"]),
        ("docker.io/library/foo/bar", &["library/foo/bar"]),
        ("docker.io/store/foo/bar", &["store/foo/bar"]),
        ("Foo/bar", &["Foo/bar"]),
        ("FOO/bar", &["FOO/bar"]),
        ("docker.io/do__cker/docker", &["do__cker/docker"]),
        (
            "registry.io/foo/project--id.module--name.ver---sion--name",
            &["registry.io/foo/project--id.module--name.ver---sion--name"],
        ),
    ] {
        for way in ways {
            assert_eq!(read(way), Ok((name.to_owned(), None, None)), "{way}");
        }
    }
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
