//! The `unbroken` program.
fn main() {}
