"""The import rules hold, and a planted violation of each is caught and named."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT = Path(sys.executable).with_name("lint-imports")

LAYERS = "Rooms stand in layers"
LIGHT = "The hot path and the shared words stay light"
STORES = "Only the composition root imports a concrete store"
CYCLES = "No cycles between siblings"

# What is planted: modules by path with their one import, and the contract that must break.
PLANTED = {
    "upward": ({"kernel/planted.py": "quartermaster.billing"}, LAYERS),
    "sibling": ({"billing/planted.py": "quartermaster.revenue"}, LAYERS),
    "unlisted": ({"attic.py": "quartermaster.kernel"}, LAYERS),
    "forbidden": ({"gateway/planted.py": "numpy"}, LIGHT),
    "forbidden in the kernel": ({"kernel/planted.py": "sqlalchemy"}, LIGHT),
    "forbidden indirectly": (
        {"gateway/planted.py": "quartermaster.tokens.planted", "tokens/planted.py": "pyarrow"},
        LIGHT,
    ),
    "concrete store": ({"commands/planted.py": "quartermaster.book.store"}, STORES),
    "cycle": (
        {
            "stats/planted.py": "quartermaster.stats.other",
            "stats/other.py": "quartermaster.stats.planted",
        },
        CYCLES,
    ),
}


def lint(folder: Path) -> tuple[int, str]:
    """Exit code and output of the linter over the package that lies in `folder`."""
    done = subprocess.run(
        [LINT, "--config", "pyproject.toml", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The Python files of the package and the contracts, to be spoilt."""
    ignore = shutil.ignore_patterns("__pycache__", "static", "templates", "data")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_kept() -> None:
    code, output = lint(ROOT)
    assert code == 0, output


@pytest.mark.parametrize("case", PLANTED)
def test_planted_import_is_caught(case: str, copy: Path) -> None:
    files, contract = PLANTED[case]
    for name, target in files.items():
        text = f'"""Planted."""\n\nimport {target}\n'
        (copy / "src" / "quartermaster" / name).write_text(text, "utf-8")
    code, output = lint(copy)
    verdicts = [line for line in output.splitlines() if line.startswith(contract)]
    assert code == 1, output
    assert any("BROKEN" in line for line in verdicts), output
