//! What is said: AI API dialects on the wire, to and from one neutral form.
//!
//! Pure: bytes in, bytes out. A [`dialects::Dialect`] reads and writes requests, answers, streams
//! and errors of one API; [`chat`] is the form between them; [`sse`] splits streams into events, which
//! [`event_stream`] makes of AWS's frames;
//! [`raw`] replaces single fields without touching the rest; [`error`] reads every provider's
//! error bodies; [`resume`] asks a target to go on with an answer that broke, and [`seam`] judges
//! whether it did.

pub mod base64;
pub mod chat;
pub mod dialects;
pub mod error;
pub mod event_stream;
pub mod media;
pub mod names;
pub mod promised;
pub mod raw;
pub mod resume;
mod schema;
pub mod seal;
pub mod seam;
pub mod sse;
pub mod stops;
pub mod undo;
