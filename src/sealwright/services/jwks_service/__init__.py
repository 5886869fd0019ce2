"""Publishes the public keys of each issuer."""
