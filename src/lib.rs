//! Flamewarden keeps untrusted FLAME analyses contained in Kubernetes.

pub mod model;
pub mod policy;
pub mod rules;
pub mod webhook;
