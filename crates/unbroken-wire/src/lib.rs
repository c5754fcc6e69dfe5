//! What is said: AI API dialects on the wire, to and from one neutral form.
