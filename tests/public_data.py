"""Where public data lies: beside the repository, never in it. Tests skip where it is absent."""

from pathlib import Path

import pytest

PUBLIC_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def public_file(name: str) -> Path:
    """The file, or a skipped test that names it."""
    path = PUBLIC_DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    return path
