"""Private keys in Google Cloud KMS."""
