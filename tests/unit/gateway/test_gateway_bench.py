"""The gateway bench reads wrk's report and names what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gateway_parts.load import Run, read_report

REPORT = """\
Running 3s test @ http://127.0.0.1:1/v1/chat/completions
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.34ms    1.20ms  21.97ms   79.01%
  Latency Distribution
     50%  500.00us
     99%    1.84s
  77776 requests in 4.01s, 42.43MB read
{extra}Requests/sec:  19395.51
"""
BENCH = Path(__file__).resolve().parents[3] / "bench" / "gateway.py"


def test_a_report() -> None:
    run = read_report(REPORT.format(extra=""))
    assert run == Run(77776, 4.01, 0, 0.5, 1840.0)
    assert round(run.requests_per_s) == 19396


def test_failures_are_counted() -> None:
    extra = "  Socket errors: connect 1, read 2, write 3, timeout 4\n"
    extra += "  Non-2xx or 3xx responses: 5\n"
    assert read_report(REPORT.format(extra=extra)).failures == 15


def test_no_report_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no total"):
        read_report("unable to connect")


def test_missing_tools_are_named(tmp_path: Path) -> None:
    code = "import sys, runpy; sys.argv = [sys.argv[1]];"
    code += "import bench.gateway_parts.processes as p; p.SEARCH = '';"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    paths = os.pathsep.join((str(BENCH.parent.parent), str(BENCH.parent.parent / "src")))
    done = subprocess.run(
        [sys.executable, "-c", code, str(BENCH)],
        env={**os.environ, "PYTHONPATH": paths, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "apt-get install wrk nginx" in done.stderr
