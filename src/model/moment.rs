//! A moment as pages show it.

use jiff::Timestamp;

/// A moment as people read it, and as HTML's `datetime` wants it.
pub fn moment(time: &Timestamp) -> [String; 2] {
    [time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(), time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()]
}
