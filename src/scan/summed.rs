//! Lists that are summed up while they are read: what somebody else wrote grows manifold in memory, a sum of it does not.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// What is kept of a list.
pub(super) trait Sum: Default {
    /// What stands in the list.
    type Item: for<'de> Deserialize<'de>;

    /// Takes one item in.
    ///
    /// # Errors
    /// There is too much in the list; the text says of what.
    fn add(&mut self, item: Self::Item) -> Result<(), String>;
}

/// A list, or `null` for none, of which its sum is kept.
#[derive(Default)]
pub(super) struct Summed<S>(pub(super) S);

/// A list that is kept, of a bounded length.
#[derive(Debug)]
pub(super) struct Few<T, const MOST: usize>(pub(super) Vec<T>);

impl<T, const MOST: usize> Default for Few<T, MOST> {
    fn default() -> Self {
        Few(Vec::new())
    }
}

impl<T: for<'de> Deserialize<'de>, const MOST: usize> Sum for Few<T, MOST> {
    type Item = T;

    fn add(&mut self, item: T) -> Result<(), String> {
        if self.0.len() == MOST {
            return Err(format!("a list with more than {MOST} items"));
        }
        self.0.push(item);
        Ok(())
    }
}

impl<'de, S: Sum> Deserialize<'de> for Summed<S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_option(SumVisitor(PhantomData)).map(Summed)
    }
}

struct SumVisitor<S>(PhantomData<S>);

impl<'de, S: Sum> Visitor<'de> for SumVisitor<S> {
    type Value = S;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_none<E>(self) -> Result<S, E> {
        Ok(S::default())
    }

    fn visit_unit<E>(self) -> Result<S, E> {
        Ok(S::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<S, D::Error> {
        from.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<S, A::Error> {
        let mut sum = S::default();
        while let Some(item) = items.next_element()? {
            sum.add(item).map_err(A::Error::custom)?;
        }
        Ok(sum)
    }
}
