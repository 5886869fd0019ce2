"""Names of issuers that Sealwright gives itself."""

DEFAULT_ISSUER = "default"
INTERNAL_ISSUER = "internal"
