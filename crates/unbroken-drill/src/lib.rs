//! Rehearsals: faults, scenarios, simulator, fake provider, scorekeeper.
