"""The file sealwright.toml: its tables, where each line is, and what in it cannot be right."""
