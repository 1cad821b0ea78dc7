//! Flamewarden keeps untrusted FLAME analyses contained in Kubernetes.

pub mod app;
pub mod auditor;
pub mod cli;
pub mod cluster;
pub mod facts;
pub mod guard;
pub mod install;
pub mod isolation;
pub mod model;
pub mod policy;
pub mod registration;
pub mod rules;
pub mod serve;
pub mod telemetry;
pub mod webhook;
