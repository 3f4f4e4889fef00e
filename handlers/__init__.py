"""Triggers to core: each module turns one trigger's input into requests, and outcomes into its answer."""
