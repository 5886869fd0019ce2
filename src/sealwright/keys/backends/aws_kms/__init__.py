"""Private keys in AWS KMS."""
