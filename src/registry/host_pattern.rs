//! Hosts of registries in pull secrets, in which `*` stands for letters within one part of the name.
//!
//! As kubelets match them: <https://kubernetes.io/docs/concepts/containers/images/#config-json>.

/// Whether a host, with its port, is one that the pattern stands for. Each part between dots is matched by one part, and a
/// port by the same port alone.
pub(super) fn fits(pattern: &str, host: &str) -> bool {
    let ((pattern, port), (host, other)) = (split(pattern), split(host));
    let (mut parts, mut names) = (pattern.split('.'), host.split('.'));
    let all_fit = parts.by_ref().zip(names.by_ref()).all(|(part, name)| part_fits(part, name));
    port == other && all_fit && pattern.split('.').count() == host.split('.').count()
}

fn split(host: &str) -> (&str, Option<&str>) {
    host.rsplit_once(':').map_or((host, None), |(host, port)| (host, Some(port)))
}

fn part_fits(part: &str, name: &str) -> bool {
    let Some((first, rest)) = part.split_once('*') else { return part == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in between.split('*') {
        let Some((_, later)) = name.split_once(piece) else { return false };
        name = later;
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of Kubernetes' documentation, and of its own test of the same (`TestURLsMatch`).
    #[test]
    fn hosts_fit_as_kubelets_have_it() {
        for (pattern, host, want) in [
            ("*.kubernetes.io", "kubernetes.io", false),
            ("*.kubernetes.io", "abc.kubernetes.io", true),
            ("*.*.kubernetes.io", "abc.kubernetes.io", false),
            ("*.*.kubernetes.io", "abc.def.kubernetes.io", true),
            ("prefix.*.io", "prefix.kubernetes.io", true),
            ("*-good.kubernetes.io", "prefix-good.kubernetes.io", true),
            ("prefix.kubernetes.*", "prefix.kubernetes.io", true),
            ("*.kubernetes.io:1111", "prefix.kubernetes.io:1111", true),
            ("prefix.*.io:1111", "prefix.kubernetes.io:1111", true),
            ("*.*.kubernetes.io", "kubernetes.io", false),
            ("*kubernetes.io", "a.kubernetes.io", false),
            ("*kubernetes.io", "kubernetes.io", true),
            ("*.*.*.kubernetes.io", "a.b.c.kubernetes.io", true),
            ("kubernetes.io", "kubernetes.com", false),
            ("k*.io", "quay.io", false),
            ("*.kubernetes.io:1234", "prefix.kubernetes.io:1111", false),
            ("prefix.*.io", "prefix.kubernetes.io:1111", false),
        ] {
            assert_eq!(fits(pattern, host), want, "{pattern} {host}");
        }
    }

    #[test]
    fn a_star_is_any_letters_of_one_part_and_nothing_else_is_a_pattern() {
        for (pattern, host, want) in [
            ("*", "a", true),
            ("*", "a.b", false),
            ("a*b*c.d", "a1b2c.d", true),
            ("a*b*c.d", "abc.d", true),
            ("a*b*c.d", "acb.d", false),
            ("a*b*b.d", "ab.d", false),
            ("a**c.d", "abc.d", true),
            ("a*a.d", "a.d", false),
            ("*a.d", "ba.d.e", false),
            ("?.d", "a.d", false),
            ("[a-z].d", "a.d", false),
            ("*.d:*", "a.d:1", false),
            ("*.d", "a.d:443", false),
            ("*.D", "a.d", false),
        ] {
            assert_eq!(fits(pattern, host), want, "{pattern} {host}");
        }
    }
}
