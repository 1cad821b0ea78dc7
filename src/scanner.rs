//! The scanner: finds the images that are to run, has each scanned, and writes down what may run.

mod errand;

pub use errand::{Errand, Evidence};
