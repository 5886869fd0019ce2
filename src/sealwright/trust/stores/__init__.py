"""Shared memory for replay and revocation."""
