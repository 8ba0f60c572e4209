"""Shared by all tests: property tests run the same examples on every machine."""

import os

from hypothesis import settings

# A shared machine stalls now and then: wall-clock deadlines would fail tests for that. CI draws
# the same examples each time; elsewhere new ones are drawn and failures are kept.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
# For a night: `pytest --hypothesis-profile long tests/property`.
settings.register_profile("long", deadline=None, max_examples=30_000, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")
