"""Private keys in the transit engine of OpenBao or HashiCorp Vault, and HMAC secrets in its key-value store."""
