"""Functions: what the first call of a fresh interpreter costs, and the calls after it."""
