"""A slice of a core for a process: the kernel's own bandwidth control (cgroup version 1 or 2).

So a second core can be free for a second worker although load and model server need some of it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
PERIOD_US: Final = 10_000
"""Short beside the seconds of a run, long beside a request of thirty microseconds."""


def available() -> bool:
    """Whether slices can be given here: that takes root, or a control group of one's own."""
    try:
        with sliced(os.getpid(), 1.0, "probe"):
            return True
    except OSError:
        return False


@contextmanager
def sliced(pid: int, share: float, name: str) -> Iterator[None]:
    """Hold a process and its threads to a share of one core until the block ends.

    Raises:
        OSError: control groups cannot be written here.
    """
    quota_us = int(share * PERIOD_US)
    first = (ROOT / "cpu").is_dir()
    parent = ROOT / "cpu" if first else ROOT
    group = parent / f"quartermaster-bench-{os.getpid()}-{name}"
    group.mkdir()
    try:
        if first:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
        (group / "cgroup.procs").write_text(str(pid))
        try:
            yield
        finally:
            _back(pid, parent)
    finally:
        group.rmdir()


def _back(pid: int, parent: Path) -> None:
    """Out of the group, which can go only when it is empty."""
    if Path(f"/proc/{pid}").exists():
        (parent / "cgroup.procs").write_text(str(pid))
