"""Python examples in the README and the docs run as tests."""

from __future__ import annotations

from hypothesis import settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["README.md", "docs/**/*.md"]).pytest()

settings.register_profile("long", max_examples=20_000, deadline=None)  # make fuzz
