"""OpenMP for the model's runtime, on systems that have none.

`xllamacpp` wants `libgomp.so.1`. It comes with compilers, which a Debian with Python and pip alone
need not have. Packages whose wheels were repaired for every Linux carry it; it is taken out of the
smallest (450 KB), checked by SHA-256 and put beside the weights, so that a first start needs no
administrator. There it gets back the name that the repair had changed: the loader goes by the name
that is in the file.
"""

import ctypes
import hashlib
import platform
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from quartermaster.kernel.errors import DataError
from quartermaster.model.wheel import Say, Wanted, fetch

LIBRARY_NAME = "libgomp.so.1"
REQUIREMENT = "pykdtree==1.4.3"
FOLDER = "pykdtree.libs"
SYSTEM_REMEDY = "install it from the system: apt-get install libgomp1, or dnf install libgomp"


class _Carried(NamedTuple):
    """The library as the wheels of one processor carry it, and its hash under its own name."""

    name: str
    sha256: str


CARRIED = {
    "x86_64": _Carried(
        "libgomp-870cb1d0.so.1.0.0",
        "9022a6601f576222c9be1d14fa5996cd1633661d8607ceda2f06625730403cd6",
    ),
    "aarch64": _Carried(
        "libgomp-947d5fa1.so.1.0.0",
        "607db8cfb4b61df0a6c7aa1273ce18415cf18986ffcf16930a83ba786a108a74",
    ),
}
"""By `platform.machine()`; the wheels of all versions of Python carry the same file."""


def system_has_it() -> bool:
    """Whether the loader finds the library by itself; true where nobody would look for it."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        ctypes.CDLL(LIBRARY_NAME)
    except OSError:
        return False
    return True


def provide(folder: Path, *, say: Say, online: bool) -> None:
    """Put the library into `folder` where the system has none; do nothing when it is there.

    Args:
        folder: where the weights are.
        say: receives progress lines.
        online: whether packages may be fetched; where not, the remedy is said.

    Raises:
        UnavailableError: no pip or uv here, or the package cannot be fetched.
        DataError: what was fetched is not the pinned file.
    """
    place = folder / LIBRARY_NAME
    carried = CARRIED.get(platform.machine())
    if system_has_it() or (carried and _is_pinned(place, carried)):
        return
    if not online or carried is None:
        say(f"the model's runtime needs {LIBRARY_NAME}, which this system lacks; {SYSTEM_REMEDY}")
        return
    wanted = Wanted(REQUIREMENT, f"{FOLDER}/{carried.name}", "450 KB")
    say(f"this system lacks {LIBRARY_NAME}, which the model's runtime needs")
    with tempfile.TemporaryDirectory(prefix="pull-", dir=folder) as beside:
        content = _read(fetch(wanted, Path(beside), say, hint=SYSTEM_REMEDY), wanted)
        content = _renamed(content, carried.name)
        if hashlib.sha256(content).hexdigest() != carried.sha256:
            raise DataError(f"{REQUIREMENT} carries another {LIBRARY_NAME}", hint=SYSTEM_REMEDY)
        written = Path(beside) / LIBRARY_NAME
        written.write_bytes(content)
        written.replace(place)
    say(f"{place}: {len(content)} bytes, sha256 {carried.sha256} verified")


def lend(folder: Path) -> None:
    """Load the library of `folder` into this process where the system has none.

    What is loaded later and wants it finds it by its name. A file that is not the pinned one is
    left alone: then the runtime says what it lacks.
    """
    carried = CARRIED.get(platform.machine())
    place = folder / LIBRARY_NAME
    if not system_has_it() and carried and _is_pinned(place, carried):
        ctypes.CDLL(str(place), mode=ctypes.RTLD_GLOBAL)


def _is_pinned(place: Path, carried: _Carried) -> bool:
    return place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() == carried.sha256


def _renamed(content: bytes, name: str) -> bytes:
    """With its own name in place of the repaired one, at the same length."""
    old = name.encode() + b"\0"
    return content.replace(old, LIBRARY_NAME.encode().ljust(len(old), b"\0"))


def _read(source: Path, wanted: Wanted) -> bytes:
    """The library out of a wheel, or as uv has unpacked it."""
    if not zipfile.is_zipfile(source):
        return source.read_bytes()
    with zipfile.ZipFile(source) as archive:
        try:
            return archive.read(wanted.member)
        except KeyError as error:
            raise DataError(f"{source.name} holds no {wanted.member}") from error
