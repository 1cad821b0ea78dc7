//! Edge: a listener's places for connections: nobody can take all of them, and resting ones give way to new ones.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::ConnectionLimits;
use super::patience::Pulse;

/// The places of one listener.
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    held: HashMap<u64, Held>,
    counts: HashMap<IpAddr, usize>,
}

struct Held {
    address: IpAddr,
    pulse: Arc<Pulse>,
    out: CancellationToken,
}

/// One connection's place; given back when dropped, or given to another before.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    /// Cancelled when the place is another's.
    pub(super) out: CancellationToken,
}

impl Places {
    pub(super) fn new(limits: &ConnectionLimits) -> Arc<Self> {
        let (most, most_per_address) = (limits.connections, limits.connections_per_address);
        Arc::new(Places { most, most_per_address, state: Mutex::default() })
    }

    /// A place for a new connection, if need be that of another, which ends. None where all are busy, or belong to
    /// addresses that have no more than this one.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, pulse: &Arc<Pulse>) -> Option<Place> {
        let mut state = self.lock();
        let own = state.count(address);
        if own >= self.most_per_address {
            state.put_out(|held, busy, _| held == address && !busy)?;
        } else if state.held.len() >= self.most {
            // Even a busy one, where its address has much more than its share: slow requests keep busy too.
            let gives_way = |held, busy, count| match busy {
                true => count > 2 * (own + 1),
                false => held == address || count > own,
            };
            state.put_out(gives_way)?;
        }
        state.last += 1;
        let (number, out) = (state.last, CancellationToken::new());
        state.held.insert(number, Held { address, pulse: Arc::clone(pulse), out: out.clone() });
        *state.counts.entry(address).or_insert(0) += 1;
        Some(Place { places: Arc::clone(self), number, out })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&self, address: IpAddr) -> usize {
        self.counts.get(&address).copied().unwrap_or_default()
    }

    /// Ends one of those that may give way, by address, whether it is busy, and its address's count: of the address
    /// that has most, one that rests rather than a busy one, and the one that does so longest.
    fn put_out(&mut self, gives_way: impl Fn(IpAddr, bool, usize) -> bool) -> Option<()> {
        let ranked = self.held.iter().filter_map(|(number, held)| {
            let (count, (busy, since)) = (self.count(held.address), held.pulse.standing());
            gives_way(held.address, busy, count).then_some((Reverse(count), busy, since, *number))
        });
        let (.., number) = ranked.min()?;
        let held = self.remove(number)?;
        tracing::debug!(peer = %held.address, "a connection gives way to a new one");
        held.out.cancel();
        Some(())
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        let left = self.counts.get_mut(&held.address).map_or(0, |count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == 0 {
            self.counts.remove(&held.address);
        }
        Some(held)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    /// Connections of the addresses 10.0.0.N, all kept.
    struct Listener {
        places: Arc<Places>,
        kept: Vec<(u8, Place, Arc<Pulse>)>,
    }

    impl Listener {
        fn new(connections: usize, connections_per_address: usize) -> Self {
            let limits = ConnectionLimits { connections, connections_per_address, ..ConnectionLimits::default() };
            Listener { places: Places::new(&limits), kept: Vec::new() }
        }

        /// A new connection a second later; whether it has a place.
        async fn enter(&mut self, address: u8, busy: bool) -> bool {
            advance(Duration::from_secs(1)).await;
            let pulse = Pulse::start();
            let Some(place) = self.places.enter(IpAddr::from([10, 0, 0, address]), &pulse) else { return false };
            if busy {
                pulse.busy();
            }
            self.kept.push((address, place, pulse));
            true
        }

        /// Addresses of the connections that still have their places, oldest first.
        fn there(&self) -> Vec<u8> {
            self.kept.iter().filter(|(_, place, _)| !place.out.is_cancelled()).map(|(address, ..)| *address).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_share_and_its_longest_rest_gives_way_to_its_new_ones() {
        let mut listener = Listener::new(9, 2);
        for (address, busy, enters, there) in [
            (1, false, true, vec![1]),
            (2, false, true, vec![1, 2]),
            (1, true, true, vec![1, 2, 1]),
            (1, true, true, vec![2, 1, 1]),
            (1, false, false, vec![2, 1, 1]),
        ] {
            assert_eq!((listener.enter(address, busy).await, listener.there()), (enters, there));
        }
        listener.kept.pop();
        assert!(listener.enter(1, false).await, "a place was given back");
        assert_eq!(listener.there(), [2, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_places_are_taken_the_address_that_has_most_gives_way_and_never_one_that_has_less() {
        let mut listener = Listener::new(4, 3);
        for (address, enters, there) in [
            (2, true, vec![2]),
            (1, true, vec![2, 1]),
            (1, true, vec![2, 1, 1]),
            (1, true, vec![2, 1, 1, 1]),
            (3, true, vec![2, 1, 1, 3]),
            (4, true, vec![2, 1, 3, 4]),
            (5, true, vec![1, 3, 4, 5]),
            (1, true, vec![3, 4, 5, 1]),
        ] {
            assert_eq!((listener.enter(address, false).await, listener.there()), (enters, there));
        }
        let mut listener = Listener::new(4, 3);
        for (address, busy, enters, there) in [
            (1, true, true, vec![1]),
            (1, true, true, vec![1, 1]),
            (2, false, true, vec![1, 1, 2]),
            (3, true, true, vec![1, 1, 2, 3]),
            (1, true, false, vec![1, 1, 2, 3]),
        ] {
            assert_eq!((listener.enter(address, busy).await, listener.there()), (enters, there), "busy");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn busy_ones_give_way_only_where_their_address_has_much_more_than_the_new_one_s() {
        let mut listener = Listener::new(4, 3);
        for (address, enters, there) in [
            (1, true, vec![1]),
            (1, true, vec![1, 1]),
            (1, true, vec![1, 1, 1]),
            (2, true, vec![1, 1, 1, 2]),
            (3, true, vec![1, 1, 2, 3]),
            (4, false, vec![1, 1, 2, 3]),
            (2, false, vec![1, 1, 2, 3]),
        ] {
            assert_eq!((listener.enter(address, true).await, listener.there()), (enters, there));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_rests_is_asked_anew_each_time() {
        let mut listener = Listener::new(2, 2);
        for busy in [true, false] {
            listener.enter(1, busy).await;
        }
        listener.kept[0].2.idle();
        advance(Duration::from_secs(1)).await;
        listener.kept[1].2.busy();
        assert!(listener.enter(2, false).await);
        let out: Vec<bool> = listener.kept.iter().map(|(_, place, _)| place.out.is_cancelled()).collect();
        assert_eq!(out, [true, false, false]);
    }
}
