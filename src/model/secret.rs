//! A text that stands in no log and no message.

use std::fmt;

use serde::Deserialize;

/// A password or a token. It has no `Display`, and its `Debug` shows nothing of it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for where it is to be used.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_by_nothing_but_its_own_method() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            (format!("{secret:?}"), format!("{:#?}", Some(&secret)).contains("hunter2")),
            ("Secret".to_owned(), false)
        );
        assert_eq!(secret.reveal(), "hunter2");
    }
}
