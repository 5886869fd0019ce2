"""Settings in, objects out; the only place that names backends."""
