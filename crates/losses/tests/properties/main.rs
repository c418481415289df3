//! What holds for every loss with every option.

mod bounds;
mod derivatives;
mod equal_inputs;
mod precision;
mod stated;

#[path = "../inputs/mod.rs"]
mod inputs;
