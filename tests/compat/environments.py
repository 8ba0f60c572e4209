"""Each client in an environment of its own, made from its hashed lock and kept until it changes.

They lie in `.cache/compat` and are made with uv where it is on the PATH and with pip otherwise.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.compat.features import Client

ROOT: Final = Path(__file__).resolve().parents[2]
LOCKS: Final = Path(__file__).resolve().parent / "locks"
CACHE: Final = ROOT / ".cache" / "compat"
# The slowest of these installs takes a quarter of it on a cold machine.
INSTALL_TIMEOUT_S: Final = 300


class NotInstalledError(Exception):
    """An environment could not be made; the message is what the installer said last."""


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two runs at once make an environment once."""
    folder.mkdir(parents=True, exist_ok=True)
    guard = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)


def python_of(client: Client) -> Path:
    """The client's own Python, after its environment was made or found to be current.

    Raises:
        NotInstalledError: the installer failed, as it does without a network.
    """
    lock, home = LOCKS / f"{client.name}.lock", CACHE / client.name
    python, stamp = home / "bin" / "python", home / "stamp"
    wanted = f"{sys.version_info[:3]} {hashlib.sha256(lock.read_bytes()).hexdigest()}"
    with _alone(CACHE / "guards" / client.name):
        if not (stamp.exists() and stamp.read_text("utf-8") == wanted and python.exists()):
            _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(home)])
            _run(_install(python, lock))
            stamp.write_text(wanted, "utf-8")
    return python


def _install(python: Path, lock: Path) -> list[str]:
    uv = shutil.which("uv")
    if uv is not None:
        command = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python)]
        return [*command, str(lock)]
    # The lock is complete, so the resolver has nothing to add.
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--retries",
        "2",
    ]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *options]
    return [*command, "--require-hashes", "-r", str(lock)]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(f"no end after {INSTALL_TIMEOUT_S} s") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise NotInstalledError(said[-1] if said else f"exit code {done.returncode}")
