//! The scanner: finds the images that are to run, has each scanned, and writes down what may run.

mod act;
mod child;
mod errand;
mod examine;
mod job;
mod jobs;
mod judge;
mod kept;
mod known;
mod lookups;
mod order;
mod outcome;
mod plan;
mod port;
mod problem;
mod registries;
mod reports;
mod run;
mod runner;
mod settle;
mod status;
mod unused;
mod uses;
mod wanted;
mod watches;
mod worker;
mod workplace;

pub use child::{Child, ChildSettings};
pub use errand::{Errand, Evidence};
pub use jobs::{Jobs, JobsSettings};
pub use order::{Bounds, Deliver, Order, PortOrder};
pub use port::{Port, PortProblem};
pub use problem::{Bound, ScanProblem};
pub use run::{ScannerSettings, Scanning};
pub use runner::Runner;
pub use worker::{Confinement, work};
