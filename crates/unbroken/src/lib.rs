//! Failover for AI models: one unbroken answer as long as any target can give it.
