//! The library against recorded traffic and real sockets.

mod errors;
