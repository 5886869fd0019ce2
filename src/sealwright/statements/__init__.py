"""Signed documents that keys publishes and trust obeys: their shape and rules."""
