//! The scanner: finds the images that are to run, has each scanned, and writes down what may run.

mod child;
mod errand;
mod order;
mod problem;
mod runner;
mod worker;
mod workplace;

pub use child::{Child, ChildSettings};
pub use errand::{Errand, Evidence};
pub use order::{Bounds, Deliver, Order};
pub use problem::{Bound, ScanProblem};
pub use runner::Runner;
pub use worker::{Confinement, work};
