//! Edge: the bytes of review bodies at one time: where they run out, the largest body of whoever has most gives way to smaller.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

/// The bytes that all bodies together may take.
pub(super) struct Budget {
    most: usize,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    taken: usize,
    shares: HashMap<u64, Held>,
    addresses: HashMap<IpAddr, usize>,
}

struct Held {
    address: IpAddr,
    bytes: usize,
    /// Cancelled when the bytes are wanted by another; none for what cannot be left off any more.
    out: Option<CancellationToken>,
}

/// One body's part, given back when dropped.
pub(super) struct Share {
    budget: Arc<Budget>,
    number: u64,
    out: CancellationToken,
}

impl Budget {
    pub(super) fn new(most: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Budget { most, metrics, state: Mutex::default() })
    }

    /// A share of nothing, for a body that is to come from this address.
    pub(super) fn share(self: &Arc<Self>, address: IpAddr) -> Share {
        let mut state = self.lock();
        state.last += 1;
        let (number, out) = (state.last, CancellationToken::new());
        state.shares.insert(number, Held { address, bytes: 0, out: Some(out.clone()) });
        Share { budget: Arc::clone(self), number, out }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, state: &State) {
        self.metrics.bytes_in_flight.set(i64::try_from(state.taken).unwrap_or(i64::MAX));
    }
}

impl Share {
    /// Takes more; where there is no more, from a larger body. Says whether it could.
    pub(super) fn grow(&self, by: usize) -> bool {
        let mut state = self.budget.lock();
        while state.taken + by > self.budget.most {
            if !state.put_out(self.number, by) {
                return false;
            }
        }
        let grown = state.add(self.number, by);
        self.budget.shown(&state);
        grown
    }

    /// Waits until another has got these bytes.
    pub(super) async fn lost(&self) {
        self.out.cancelled().await;
    }

    /// From now on nobody else can have it. Says whether it was still there.
    pub(super) fn keep(&self) -> bool {
        let mut state = self.budget.lock();
        state.shares.get_mut(&self.number).map(|held| held.out = None).is_some()
    }
}

impl State {
    /// Adds to a share that is still there.
    fn add(&mut self, number: u64, by: usize) -> bool {
        let Some(held) = self.shares.get_mut(&number) else { return false };
        held.bytes += by;
        self.taken += by;
        *self.addresses.entry(held.address).or_insert(0) += by;
        true
    }

    /// Takes the bytes of a share that may give way to this one: of the address that has most, the largest. An
    /// address gives way to one that has less, and within an address a body to one that is smaller.
    fn put_out(&mut self, number: u64, by: usize) -> bool {
        let Some(own) = self.shares.get(&number) else { return false };
        let (own_address, own_bytes) = (own.address, own.bytes + by);
        let own_sum = self.sum(own_address) + by;
        let ranked = self.shares.iter().filter_map(|(number, held)| {
            let sum = self.sum(held.address);
            let more = if held.address == own_address { held.bytes > own_bytes } else { sum > own_sum };
            (more && held.bytes > 0 && held.out.is_some()).then_some((sum, held.bytes, *number))
        });
        let Some((.., number)) = ranked.max() else { return false };
        if let Some(out) = self.remove(number).and_then(|held| held.out) {
            out.cancel();
        }
        true
    }

    fn sum(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).copied().unwrap_or_default()
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.shares.remove(&number)?;
        self.taken = self.taken.saturating_sub(held.bytes);
        let left = self.sum(held.address).saturating_sub(held.bytes);
        if left == 0 {
            self.addresses.remove(&held.address);
        } else {
            self.addresses.insert(held.address, left);
        }
        Some(held)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.remove(self.number);
        self.budget.shown(&state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the shares: of each the address and its bytes.
    fn left(shares: &[(u8, usize, Share)]) -> Vec<(u8, usize)> {
        let there = shares.iter().filter(|(.., share)| !share.out.is_cancelled());
        there.map(|(address, bytes, _)| (*address, *bytes)).collect()
    }

    fn shared(budget: &Arc<Budget>, address: u8) -> Share {
        budget.share(IpAddr::from([10, 0, 0, address]))
    }

    #[test]
    fn the_largest_of_whoever_has_most_gives_way_to_smaller_ones() {
        let metrics = Arc::new(Metrics::new());
        for (what, held, (address, by), grown, want) in [
            ("there is room", vec![(1, 60), (1, 30)], (1, 10), true, vec![(1, 60), (1, 30)]),
            ("a smaller one of the same address", vec![(1, 60), (1, 40)], (1, 10), true, vec![(1, 40)]),
            ("a larger one of the same address", vec![(1, 30), (1, 30), (1, 30)], (1, 31), false, vec![]),
            ("another address that has less", vec![(1, 30), (1, 40), (2, 30)], (3, 40), true, vec![(1, 30), (2, 30)]),
            ("another address that would have more", vec![(1, 50), (2, 50)], (3, 60), false, vec![]),
            ("the smaller one of an address that has most", vec![(1, 50), (2, 50)], (1, 1), true, vec![(2, 50)]),
            ("larger than all together", vec![], (1, 101), false, vec![]),
        ] {
            let budget = Budget::new(100, Arc::clone(&metrics));
            let mut shares: Vec<(u8, usize, Share)> = Vec::new();
            for (address, bytes) in held.clone() {
                let share = shared(&budget, address);
                assert!(share.grow(bytes), "{what}");
                shares.push((address, bytes, share));
            }
            let new = shared(&budget, address);
            assert_eq!(new.grow(by), grown, "{what}");
            let sum = |shares: &[(u8, usize)]| shares.iter().map(|(_, bytes)| bytes).sum::<usize>();
            let want = if grown { want } else { held };
            let taken = sum(&left(&shares)) + if grown { by } else { 0 };
            assert_eq!(left(&shares), want, "{what}");
            assert_eq!(budget.lock().taken, taken, "{what}");
            drop((shares, new));
            let state = budget.lock();
            assert_eq!((state.taken, state.addresses.len()), (0, 0), "{what}");
        }
    }

    #[test]
    fn what_is_kept_gives_way_to_nobody_and_what_gave_way_takes_nothing() {
        let budget = Budget::new(100, Arc::new(Metrics::new()));
        let (kept, lost, small) = (shared(&budget, 1), shared(&budget, 1), shared(&budget, 2));
        assert!(kept.grow(60) && kept.keep() && lost.grow(40));
        assert!(small.grow(1));
        assert_eq!((kept.out.is_cancelled(), lost.out.is_cancelled()), (false, true));
        assert_eq!((lost.keep(), lost.grow(1), budget.lock().taken), (false, false, 61));
        assert!(!small.grow(40));
        assert_eq!(budget.metrics.bytes_in_flight.get(), 61);
    }
}
