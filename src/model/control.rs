//! A published control that a rule helps to meet.

use std::fmt;

/// One control of one of the published catalogues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Pod Security Standards, profile *baseline*: the control's name.
    Baseline(&'static str),
    /// Pod Security Standards, profile *restricted*: the control's name.
    Restricted(&'static str),
    /// NSA/CISA Kubernetes Hardening Guide, section.
    Nsa(&'static str),
    /// CIS Kubernetes Benchmark, number of the recommendation.
    Cis(&'static str),
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Control::Baseline(name) => write!(f, "PSS baseline: {name}"),
            Control::Restricted(name) => write!(f, "PSS restricted: {name}"),
            Control::Nsa(section) => write!(f, "NSA/CISA: {section}"),
            Control::Cis(number) => write!(f, "CIS {number}"),
        }
    }
}
