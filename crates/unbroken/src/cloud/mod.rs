//! Credentials that are more than one key: those of clouds.

pub mod sigv4;
