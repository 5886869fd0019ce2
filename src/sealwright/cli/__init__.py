"""The sealwright command; one file per verb."""
