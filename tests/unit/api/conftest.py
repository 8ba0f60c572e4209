"""The API over a small book."""

from pathlib import Path

import pytest
from tests.unit.api.api_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
