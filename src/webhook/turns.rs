//! Edge: turns at what few may do at one time: nobody waits behind the many of another address.
//!
//! A turn goes to the address that has fewest under way, of these to the one that was not called for longest, and
//! there to whoever came first.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Places for so many at one time.
pub(super) struct Turns {
    state: Mutex<State>,
}

struct State {
    free: usize,
    came: u64,
    calls: u64,
    addresses: HashMap<IpAddr, Crowd>,
}

/// Those of one address; forgotten with the last of them.
#[derive(Default)]
struct Crowd {
    under_way: usize,
    /// The last call of one of them; 0 before the first.
    called: u64,
    /// In the order in which they came; whoever is called is no longer among them.
    waiting: BTreeMap<u64, CancellationToken>,
}

/// A place in the queue and then a turn; given back when dropped, whichever it is.
pub(super) struct Turn {
    turns: Arc<Turns>,
    address: IpAddr,
    number: u64,
    called: CancellationToken,
}

impl Turns {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let state = State { free: places, came: 0, calls: 0, addresses: HashMap::new() };
        Arc::new(Turns { state: Mutex::new(state) })
    }

    /// Queues for a turn.
    pub(super) fn queue(self: &Arc<Self>, address: IpAddr) -> Turn {
        let mut state = self.lock();
        state.came += 1;
        let (number, called) = (state.came, CancellationToken::new());
        state.addresses.entry(address).or_default().waiting.insert(number, called.clone());
        state.call();
        Turn { turns: Arc::clone(self), address, number, called }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until it is this one's turn.
    pub(super) async fn begun(&self) {
        self.called.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.end(self.address, self.number);
        state.call();
    }
}

impl State {
    /// Calls whoever is next, as long as there is room.
    fn call(&mut self) {
        while self.free > 0 {
            let ranked = self.addresses.iter().filter_map(|(address, crowd)| {
                let (number, _) = crowd.waiting.first_key_value()?;
                Some((crowd.under_way, crowd.called, *number, *address))
            });
            let Some((.., address)) = ranked.min() else { return };
            let Some(crowd) = self.addresses.get_mut(&address) else { return };
            let Some((_, called)) = crowd.waiting.pop_first() else { return };
            self.free -= 1;
            self.calls += 1;
            crowd.under_way += 1;
            crowd.called = self.calls;
            called.cancel();
        }
    }

    /// Takes out whoever waits no longer, or has had his turn.
    fn end(&mut self, address: IpAddr, number: u64) {
        let Some(crowd) = self.addresses.get_mut(&address) else { return };
        if crowd.waiting.remove(&number).is_none() {
            crowd.under_way = crowd.under_way.saturating_sub(1);
            self.free += 1;
        }
        if crowd.under_way == 0 && crowd.waiting.is_empty() {
            self.addresses.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, address])
    }

    fn begun(turns: &[(u8, Turn)]) -> Vec<u8> {
        turns.iter().filter(|(_, turn)| turn.called.is_cancelled()).map(|(address, _)| *address).collect()
    }

    #[test]
    fn a_turn_goes_to_the_address_with_fewest_under_way_and_of_these_to_the_one_not_called_for_longest() {
        for (what, came, ended, want) in [
            ("there is room", vec![1, 1], 0, vec![1, 1]),
            ("nobody ended", vec![1, 1, 1, 2], 0, vec![1, 1]),
            ("many wait since long", vec![1, 1, 1, 1, 1, 2], 1, vec![1, 2]),
            ("one was called before", vec![1, 2, 1, 1, 2, 3], 1, vec![2, 3]),
            ("neither was called", vec![1, 2, 4, 3], 1, vec![2, 4]),
            ("both were called", vec![1, 2, 2, 1], 2, vec![2, 1]),
            ("only one is left", vec![1, 1, 1], 1, vec![1, 1]),
        ] {
            let queue = Turns::new(2);
            let mut turns: Vec<_> = came.iter().map(|address| (*address, queue.queue(from(*address)))).collect();
            drop(turns.drain(..ended));
            assert_eq!(begun(&turns), want, "{what}");
            drop(turns);
            let state = queue.lock();
            assert_eq!((state.free, state.addresses.len()), (2, 0), "{what}");
        }
    }

    #[test]
    fn whoever_gives_up_waiting_is_not_called() {
        let queue = Turns::new(1);
        let (first, gone, last) = (queue.queue(from(1)), queue.queue(from(2)), queue.queue(from(3)));
        drop(gone);
        assert!(!last.called.is_cancelled());
        drop(first);
        assert!(last.called.is_cancelled());
    }
}
