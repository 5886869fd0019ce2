"""WHAT WE SIGN: one file per kind of token."""
