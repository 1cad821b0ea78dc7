//! The scanner: finds the images that are to run, has each scanned, and writes down what may run.

mod act;
mod child;
mod errand;
mod examine;
mod judge;
mod known;
mod order;
mod plan;
mod problem;
mod registries;
mod run;
mod runner;
mod settle;
mod status;
mod uses;
mod wanted;
mod watches;
mod worker;
mod workplace;

pub use child::{Child, ChildSettings};
pub use errand::{Errand, Evidence};
pub use order::{Bounds, Deliver, Order};
pub use problem::{Bound, ScanProblem};
pub use run::{ScannerSettings, Scanning};
pub use runner::Runner;
pub use worker::{Confinement, work};
