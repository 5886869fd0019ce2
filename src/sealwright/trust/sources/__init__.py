"""Where public keys come from."""
