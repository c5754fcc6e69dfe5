//! Which plan holds now? It is swapped as a whole; a call keeps the one it began with.

use std::sync::{Arc, PoisonError, RwLock};

use crate::routing::Routing;

/// The routing that holds now.
pub(crate) struct Current(RwLock<Arc<Routing>>);

impl Current {
    pub(crate) fn new(routing: Routing) -> Self {
        Self(RwLock::new(Arc::new(routing)))
    }

    /// What holds now, for as long as the caller likes.
    pub(crate) fn get(&self) -> Arc<Routing> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this holds.
    pub(crate) fn set(&self, routing: Routing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routing);
    }
}
