"""The gateway role, started as the supervisor starts it, loads nothing heavy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "numpy", "scipy", "numba", "pandas", "pyarrow", "duckdb", "ibis", "sqlalchemy", "deltalake",
    "jinja2", "rs_bpe", "tiktoken", "redis",
)  # fmt: skip

# Runs the command line's own path to the worker and reports what is loaded when it starts serving.
SCRIPT = """
import sys
import quartermaster.gateway.worker as worker
def report(settings, **rest):
    print(",".join(sorted({name.partition(".")[0] for name in sys.modules})))
    return 0
worker.run = report
from quartermaster.cli.main import run
sys.exit(run(["--var", sys.argv[1], "up", "--role", "gateway"]))
"""


def _loaded(script: str, var: Path) -> set[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", script, str(var)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(result.stdout.strip().split(","))


def test_the_gateway_role_loads_nothing_heavy(tmp_path: Path) -> None:
    loaded = _loaded(SCRIPT, tmp_path)
    assert {"uvloop", "httptools", "click"} <= loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["quartermaster.book.store", "quartermaster.usage.table"])
def test_the_check_sees_a_heavy_module(tmp_path: Path, module: str) -> None:
    loaded = _loaded(f"import {module}\n{SCRIPT}", tmp_path)
    assert not loaded.isdisjoint(HEAVY)
