//! Whether a value of any kind says nothing; what it says is not kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whether a value says nothing, as a setting that is not used does.
pub(super) struct Emptiness(pub(super) bool);

impl<'de> Deserialize<'de> for Emptiness {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(EmptinessVisitor)
    }
}

struct EmptinessVisitor;

impl<'de> Visitor<'de> for EmptinessVisitor {
    type Value = Emptiness;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Emptiness, E> {
        Ok(Emptiness(true))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Emptiness, E> {
        Ok(Emptiness(!value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Emptiness, E> {
        Ok(Emptiness(value == 0))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Emptiness, E> {
        Ok(Emptiness(value == 0))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Emptiness, E> {
        Ok(Emptiness(value == 0.0))
    }

    fn visit_str<E>(self, value: &str) -> Result<Emptiness, E> {
        Ok(Emptiness(value.is_empty()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Emptiness, A::Error> {
        let mut is_empty = true;
        while items.next_element::<IgnoredAny>()?.is_some() {
            is_empty = false;
        }
        Ok(Emptiness(is_empty))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Emptiness, A::Error> {
        let mut is_empty = true;
        while let Some((_, value)) = members.next_entry::<IgnoredAny, Emptiness>()? {
            is_empty &= value.0;
        }
        Ok(Emptiness(is_empty))
    }
}
