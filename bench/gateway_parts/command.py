"""What the benches of the gateway have in common: options, tools that must be there, a report."""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.gateway_parts import processes

EXIT_MISSING = 2

Report = dict[str, Any]


def spread(values: list[float]) -> dict[str, float]:
    """Minimum, median and maximum over the repetitions."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def parser(doc: str | None, *, reps: int) -> argparse.ArgumentParser:
    """The options that every bench of the gateway has; `doc` is its module's docstring."""
    made = argparse.ArgumentParser(description=str(doc).splitlines()[0])
    made.add_argument("--reps", type=int, default=reps)
    made.add_argument("--dir", type=Path, help="where the log is written (a real disk)")
    made.add_argument("--json", action="store_true")
    return made


def run(
    options: argparse.Namespace,
    bench: Callable[[argparse.Namespace, Path], Report],
    show: Callable[[Report], None],
) -> int:
    """Measure in a folder that goes afterwards, and report to people or as JSON.

    Returns:
        2 where a program that it needs is not installed, 1 where the report names goals under
        `missed`, otherwise 0.
    """
    try:
        for name in ("nginx", "wrk"):
            processes.tool(name)
    except processes.MissingToolError as error:
        print(error, file=sys.stderr)
        return EXIT_MISSING
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.dir) as folder:
        report = bench(options, Path(folder))
    if options.json:
        json.dump(report, sys.stdout, indent=1)
        print()
    else:
        show(report)
        print("load average at the end:", " ".join(f"{load:.1f}" for load in os.getloadavg()))
    return int(bool(report.get("missed")))
