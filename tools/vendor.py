"""Refresh or check the files of other projects that the console serves.

    python -m tools.vendor            compare the files with VENDOR.toml; exit 1 on a difference
    python -m tools.vendor --fetch    take them again from the packed npm packages (needs npm)

After a new version: change `version` in VENDOR.toml, run `--fetch`, read the change, and write the
printed sha256 into VENDOR.toml.
"""

import subprocess
import sys
import tarfile
import tempfile
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "src/quartermaster/console/static/vendor"
INDEX = "VENDOR.toml"


def entries(folder: Path) -> list[dict[str, Any]]:
    """The `[[file]]` tables of the folder's index."""
    listed: list[dict[str, Any]] = tomllib.loads((folder / INDEX).read_text("utf-8"))["file"]
    return listed


def differences(folder: Path) -> list[str]:
    """What does not agree with the index, in words; empty when everything does."""
    listed = {entry["file"]: entry for entry in entries(folder)}
    found = []
    for path in sorted(folder.iterdir()):
        if path.name == INDEX:
            continue
        if path.name not in listed:
            found.append(f"{path.name}: not in {INDEX}")
        elif sha256(path.read_bytes()).hexdigest() != listed[path.name]["sha256"]:
            found.append(f"{path.name}: sha256 differs from {INDEX}")
    missing = [name for name in listed if not (folder / name).is_file()]
    return found + [f"{name}: missing" for name in missing]


def fetch(folder: Path) -> None:
    """Take every listed file out of its npm package."""
    for entry in entries(folder):
        with tempfile.TemporaryDirectory() as scratch:
            wanted = f"{entry['name']}@{entry['version']}"
            subprocess.run(["npm", "pack", "--silent", wanted], cwd=scratch, check=True)
            (archive,) = Path(scratch).glob("*.tgz")
            with tarfile.open(archive) as package:
                member = package.extractfile(entry["member"])
                assert member is not None, f"{wanted} has no file {entry['member']}"
                body = member.read()
        (folder / entry["file"]).write_bytes(body)
        print(f"{entry['file']}  {wanted}  sha256 = {sha256(body).hexdigest()}")


def main(arguments: list[str]) -> int:
    """Check, or fetch and check."""
    if "--fetch" in arguments:
        fetch(FOLDER)
    found = differences(FOLDER)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
