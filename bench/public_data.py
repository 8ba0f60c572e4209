"""Where public data lies: beside the repository, never in it."""

from pathlib import Path

PUBLIC_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
