"""The sidecar: a decision for each request."""
