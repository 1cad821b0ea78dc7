//! Judges files on all processors; the report is in the order of the files all the same.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::collect::Collection;
use super::examine::Auditor;
use super::subject::{Source, each_subject};

/// What was judged so far, and parts whose turn has not come.
struct Parts<'c> {
    all: &'c mut Collection,
    next: usize,
    early: BTreeMap<usize, Collection>,
}

/// Judges every object of every source; `told` hears of each source that is done, with the number of its objects.
pub fn judge_files(
    sources: impl Iterator<Item = Source> + Send,
    auditor: &Auditor<'_>,
    collection: &mut Collection,
    told: impl Fn(&str, u64) + Sync,
) {
    let like = collection.like();
    let parts = Mutex::new(Parts { all: collection, next: 0, early: BTreeMap::new() });
    let sources = Mutex::new(sources.enumerate());
    let work = || {
        while let Some((place, source)) = next(&sources) {
            let (mut part, mut objects) = (like.like(), 0);
            each_subject(&source, &mut |subject| {
                part.take(subject, auditor);
                objects += 1;
            });
            told(&source.file, objects);
            held(&parts).take(place, part);
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

fn next<I: Iterator>(sources: &Mutex<I>) -> Option<I::Item> {
    held(sources).next()
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Parts<'_> {
    fn take(&mut self, place: usize, part: Collection) {
        self.early.insert(place, part);
        while let Some(part) = self.early.remove(&self.next) {
            self.all.append(part);
            self.next += 1;
        }
    }
}
