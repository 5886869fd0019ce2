"""Room for the memory that verifiers share, for replay and revocation; nothing is in it yet."""
