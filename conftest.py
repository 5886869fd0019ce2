"""Python examples in the README and the docs run as tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["README.md", "docs/**/*.md"]).pytest()

# A slow machine is no failure: no deadline, and no verdict on how fast examples are made.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("usual")
settings.register_profile(
    "long", parent=settings.get_profile("usual"), max_examples=20_000, derandomize=False
)  # make properties
