//! What is served without a token besides the API: its document, and a page to try it.
//!
//! The page is a small one of our own: it needs nothing from elsewhere, which a node may not reach, and nothing that a
//! build would fetch; Swagger UI's crate fetches it.

use super::document::DOCUMENT;

/// A text with its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// For the header of that name.
    pub(super) content_type: &'static str,
    /// All of it.
    pub(super) text: &'static str,
}

/// The page of a path, if there is one. A slash at the end would change what the page's own addresses mean.
pub(super) fn page(path: &str) -> Option<Page> {
    let (content_type, text) = match path {
        "/api/v1/openapi.json" => ("application/json", DOCUMENT.as_str()),
        "/api/docs" | "/api/redoc" => ("text/html; charset=utf-8", include_str!("page/page.html")),
        "/api/docs/page.css" => ("text/css; charset=utf-8", include_str!("page/page.css")),
        "/api/docs/page.js" => ("text/javascript; charset=utf-8", include_str!("page/page.js")),
        _ => return None,
    };
    Some(Page { content_type, text })
}

/// How they are asked for.
pub(super) const METHODS: [&str; 2] = ["GET", "HEAD"];
/// The same for the header of that name.
pub(super) const ALLOW: &str = "GET, HEAD";
/// Nothing from elsewhere, nothing in the page itself, and nobody puts it into a page of theirs.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_whole_by_themselves() {
        for (path, kind) in [
            ("/api/v1/openapi.json", "application/json"),
            ("/api/docs", "text/html; charset=utf-8"),
            ("/api/redoc", "text/html; charset=utf-8"),
            ("/api/docs/page.css", "text/css; charset=utf-8"),
            ("/api/docs/page.js", "text/javascript; charset=utf-8"),
        ] {
            let page = page(path).unwrap();
            assert_eq!(page.content_type, kind);
            if path.contains("docs") || path.contains("redoc") {
                // What the policy would keep from working, and what would be markup made of answers.
                for no in [
                    "://",
                    "//cdn",
                    "onclick=",
                    "style=",
                    "<style",
                    "innerHTML",
                    "outerHTML",
                    "eval(",
                    "document.write",
                    "localStorage",
                ] {
                    assert!(!page.text.contains(no), "{path}: {no}");
                }
            }
        }
        let html = page("/api/docs").unwrap().text;
        assert_eq!(html.matches("<script").count(), 1);
        assert!(
            html.contains("<script src=\"docs/page.js\" defer></script>") && html.contains("href=\"docs/page.css\"")
        );
        for path in
            ["/api", "/api/docs/", "/api/docs/page", "/api/v1", "/api/v1/openapi.json/", "/api/docs/../docs", "/docs"]
        {
            assert_eq!(page(path), None, "{path}");
        }
    }
}
