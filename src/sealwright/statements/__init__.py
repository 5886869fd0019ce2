"""Room for the signed documents that keys publishes and trust obeys; none is in it yet."""
