//! Edge: a token of our own, shown until shortly before its end.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::model::Secret;

/// A token, if there is one at the moment.
#[derive(Default)]
pub struct HeldToken {
    held: Mutex<Option<Held>>,
}

struct Held {
    text: Secret,
    /// By a clock that nobody sets.
    until: Instant,
}

impl HeldToken {
    /// The token that is held, or what `grant` hands out: a text, and how long it lasts. Many who ask at once wait for
    /// one.
    ///
    /// # Errors
    /// What `grant` says.
    pub async fn token<P>(&self, grant: impl Future<Output = Result<(Secret, Duration), P>>) -> Result<Secret, P> {
        let mut held = self.held.lock().await;
        let asked = Instant::now();
        if let Some(held) = held.as_ref().filter(|held| asked < held.until) {
            return Ok(held.text.clone());
        }
        let (text, lasts) = grant.await?;
        // What comes from outside may be a time that no clock can tell.
        let until = asked + lasts.min(LONGEST).saturating_sub(BEFORE_ITS_END);
        *held = Some(Held { text: text.clone(), until });
        Ok(text)
    }

    /// A token that is not taken any more is not shown again.
    pub async fn forget(&self, token: &Secret) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.text.reveal() == token.reveal()) {
            *held = None;
        }
    }
}

/// Long enough for a question that is on its way when the token ends.
const BEFORE_ITS_END: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_shown_until_shortly_before_its_end_unless_it_is_forgotten() {
        let held = HeldToken::default();
        let grant = |text: &'static str, lasts| async move { Ok::<_, ()>((Secret::new(text), lasts)) };
        let minute = Duration::from_secs(60);
        for (wait, text, lasts, want) in [
            (Duration::ZERO, "first", minute, "first"),
            (minute / 3, "second", minute, "first"),
            (minute / 3, "second", Duration::MAX, "second"),
            (LONGEST / 2, "third", minute, "second"),
            (LONGEST / 2, "third", minute, "third"),
            (minute, "fourth", Duration::ZERO, "fourth"),
            (Duration::ZERO, "fifth", minute, "fifth"),
        ] {
            tokio::time::advance(wait).await;
            assert_eq!(held.token(grant(text, lasts)).await.unwrap().reveal(), want);
        }
        assert!(held.token(async { Err::<_, ()>(()) }).await.is_ok());
        held.forget(&Secret::new("fourth")).await;
        assert_eq!(held.token(grant("sixth", minute)).await.unwrap().reveal(), "fifth");
        held.forget(&Secret::new("fifth")).await;
        assert_eq!(held.token(grant("sixth", minute)).await.unwrap().reveal(), "sixth");
    }
}
