"""The experiments with the key caches of ours and of the peers: ``python -m benchmarks.key_cache``."""
