//! A Grype report as it is written (`grype/presenter/models` of 0.110, with databases of version 5 and 6).
//!
//! Of long texts only the beginning is kept, and of what a verdict does not depend on nothing.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::matches::Matches;
use super::settings::Settings;
use super::summed::{Sum, Summed};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) matches: Matches<48>,
    #[serde(default)]
    pub(super) ignored_matches: Option<Matches<16>>,
    #[serde(default)]
    pub(super) alerts_by_package: Summed<EndOfLife>,
    #[serde(default)]
    pub(super) source: Option<Source>,
    #[serde(default)]
    pub(super) distro: Option<Distro>,
    pub(super) descriptor: Descriptor,
}

/// How many packages are of a distribution that gets no fixes any more.
#[derive(Default)]
pub(super) struct EndOfLife(pub(super) usize);

impl Sum for EndOfLife {
    type Item = PackageAlerts;

    fn add(&mut self, package: PackageAlerts) -> Result<(), String> {
        self.0 += usize::from(package.alerts.0.0);
        Ok(())
    }
}

#[derive(Deserialize)]
pub(super) struct PackageAlerts {
    #[serde(default)]
    alerts: Summed<OfEndOfLife>,
}

/// Whether an alert is of that.
#[derive(Default)]
struct OfEndOfLife(bool);

impl Sum for OfEndOfLife {
    type Item = Alert;

    fn add(&mut self, alert: Alert) -> Result<(), String> {
        self.0 |= alert.kind.0 == "distro-eol";
        Ok(())
    }
}

#[derive(Deserialize)]
struct Alert {
    #[serde(rename = "type", default)]
    kind: Text,
}

#[derive(Default, Deserialize)]
pub(super) struct Distro {
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) version: Text,
}

#[derive(Deserialize)]
pub(super) struct Descriptor {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) version: Text,
    #[serde(default)]
    pub(super) configuration: Option<Settings>,
    #[serde(default)]
    pub(super) db: Option<Db>,
    #[serde(default)]
    pub(super) timestamp: Moment,
}

/// Version 6 has `status` and `providers`; version 5 has the members of a status itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Db {
    #[serde(default)]
    pub(super) status: Option<Status>,
    #[serde(default)]
    pub(super) providers: Option<Providers>,
    #[serde(default)]
    pub(super) schema_version: Text,
    #[serde(default)]
    pub(super) built: Moment,
    #[serde(default)]
    pub(super) checksum: Text,
    #[serde(default)]
    pub(super) error: Option<Said>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    #[serde(default)]
    pub(super) schema_version: Text,
    #[serde(default)]
    pub(super) from: Text,
    #[serde(default)]
    pub(super) built: Moment,
    #[serde(default)]
    pub(super) valid: Option<bool>,
    #[serde(default)]
    pub(super) error: Option<Said>,
}

/// When what each provider gave was captured.
pub(super) struct Providers(pub(super) BTreeMap<String, Option<Timestamp>>);

#[derive(Deserialize)]
struct Provider {
    #[serde(default)]
    captured: Moment,
}

#[derive(Deserialize)]
pub(super) struct Source {
    #[serde(rename = "type")]
    pub(super) kind: Text,
    #[serde(default)]
    pub(super) target: Option<Target>,
}

/// What was looked at: of an image its parts, of anything else a text.
pub(super) enum Target {
    Image(Box<ImageTarget>),
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageTarget {
    #[serde(rename = "imageID", default)]
    pub(super) image_id: Text,
    #[serde(default)]
    pub(super) manifest_digest: Text,
    /// Base64.
    #[serde(default)]
    pub(super) manifest: Option<String>,
    /// Base64.
    #[serde(default)]
    pub(super) config: Option<String>,
}

/// A text, of which the beginning is kept; a number as it is written; empty for `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

/// What a member says where it says something: a text as it is, for all else that there is something.
pub(super) struct Said(pub(super) String);

/// A moment, where the text is one.
#[derive(Default)]
pub(super) struct Moment(pub(super) Option<Timestamp>);

/// A number, or one written as a text.
pub(super) struct Score(pub(super) Option<f64>);

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TargetVisitor;
        impl<'de> Visitor<'de> for TargetVisitor {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an image or a text")
            }

            fn visit_str<E>(self, _: &str) -> Result<Target, E> {
                Ok(Target::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
                ImageTarget::deserialize(MapAccessDeserializer::new(map)).map(|image| Target::Image(Box::new(image)))
            }
        }
        from.deserialize_any(TargetVisitor)
    }
}

impl<'de> Deserialize<'de> for Providers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ProvidersVisitor)
    }
}

struct ProvidersVisitor;

impl<'de> Visitor<'de> for ProvidersVisitor {
    type Value = Providers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("providers by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Providers, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((Text(name), provider)) = map.next_entry::<Text, Provider>()? {
            if all.contains_key(&name) {
                return Err(A::Error::custom(format!("the provider `{name}` twice")));
            }
            all.insert(name, provider.captured.0);
            if all.len() > MOST_PROVIDERS {
                return Err(A::Error::custom(format!("more than {MOST_PROVIDERS} providers")));
            }
        }
        Ok(Providers(all))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(beginning(text)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
        }
        from.deserialize_any(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct SaidVisitor;
        impl<'de> Visitor<'de> for SaidVisitor {
            type Value = Said;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or an object")
            }

            fn visit_str<E>(self, text: &str) -> Result<Said, E> {
                Ok(Said(beginning(text)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Said("an error".to_owned()))
            }
        }
        from.deserialize_any(SaidVisitor)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Text::deserialize(from).map(|text| Moment(text.0.parse().ok()))
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ScoreVisitor;
        impl Visitor<'_> for ScoreVisitor {
            type Value = Score;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Score, E> {
                Ok(Score(Some(number)))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Score, E> {
                u32::try_from(number)
                    .map(|number| Score(Some(number.into())))
                    .map_err(|_| E::custom("no score is so high"))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Score, E> {
                let number: f64 = text.parse().map_err(|_| E::custom("a text that is no number"))?;
                if number.is_finite() { Ok(Score(Some(number))) } else { Err(E::custom("a score that is no number")) }
            }

            fn visit_unit<E>(self) -> Result<Score, E> {
                Ok(Score(None))
            }
        }
        from.deserialize_any(ScoreVisitor)
    }
}

/// Not longer in memory than it is, of which there are many.
fn beginning(text: &str) -> String {
    let end = text.char_indices().nth(MOST_CHARACTERS).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default().to_owned()
}

/// Longer than names, versions and ids are.
const MOST_CHARACTERS: usize = 256;
/// Some thirty give what a database holds.
const MOST_PROVIDERS: usize = 256;
