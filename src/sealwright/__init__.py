"""The few names most callers need."""
