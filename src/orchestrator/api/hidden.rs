//! Edge: what must not be told of each analysis, read again only after a while: lines are many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::model::Run;
use crate::orchestrator::secrets::Secrets;

/// Secrets by the run that they were read for; a run that follows may have others.
#[derive(Default)]
pub(super) struct Hidden(Mutex<Held>);

#[derive(Default)]
struct Held(BTreeMap<Run, (Instant, Arc<Secrets>)>);

impl Hidden {
    /// Those of a run.
    ///
    /// # Errors
    /// They are not known, perhaps only in this moment.
    pub(super) async fn of(&self, cluster: &Cluster, namespace: &str, run: Run) -> Result<Arc<Secrets>, String> {
        // Those that are read now may be outdated when they are here.
        let now = Instant::now();
        let held = self.held().get(run, now);
        if let Some(secrets) = held {
            return Ok(secrets);
        }
        let secrets = Arc::new(Secrets::read(cluster, namespace, run.analysis).await?);
        self.held().put(run, now, secrets.clone());
        Ok(secrets)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn get(&mut self, run: Run, now: Instant) -> Option<Arc<Secrets>> {
        self.0.retain(|_, (read, _)| now.saturating_duration_since(*read) < FRESH);
        self.0.get(&run).map(|(_, secrets)| secrets.clone())
    }

    fn put(&mut self, run: Run, now: Instant, secrets: Arc<Secrets>) {
        if self.0.len() < MOST || self.0.contains_key(&run) {
            self.0.insert(run, (now, secrets));
        }
    }
}

const FRESH: Duration = Duration::from_secs(30);
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::testing::ID;

    #[test]
    fn secrets_are_held_for_a_while_for_one_run_and_not_of_endlessly_many() {
        let (mut held, begun) = (Held::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let run = |number| Run { analysis: ID.parse().unwrap(), number };
        let secrets = Arc::new(Secrets::of(Some("{}")).unwrap());
        held.put(run(1), begun, secrets.clone());
        for (number, seconds, want) in [(1, 0, true), (2, 0, false), (1, 29, true), (1, 30, false), (1, 0, false)] {
            assert_eq!(held.get(run(number), at(seconds)).is_some(), want, "{number} after {seconds} s");
        }
        (0..2000).for_each(|number| held.put(run(number), begun, secrets.clone()));
        assert_eq!(held.0.len(), MOST);
        held.put(run(0), at(20), secrets);
        assert!(held.get(run(0), at(40)).is_some() && held.0.len() == 1);
    }
}
