//! What is told of a whole study.

pub mod findings;
