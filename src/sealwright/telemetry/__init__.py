"""OBSERVERS: turn events into metrics, traces and logs."""
