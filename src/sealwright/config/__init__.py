"""The files sealwright.toml and verifier.toml: their tables, where each line is, and what in them cannot be right."""
