"""Private keys in the transit engine of OpenBao or HashiCorp Vault."""
