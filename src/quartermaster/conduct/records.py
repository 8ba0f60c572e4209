"""Account-days as a file holds them: one JSON object a line, plain or gzipped.

    {"account": "a1", "day": "2026-11-23", "requests": [{"system": "", "turns": ["..."]}]}

Only `account` and `requests` are needed, and of a request only `turns`. Other fields, such as the
labels of a benchmark, are ignored, so that a scorer cannot read them.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from quartermaster.kernel.errors import DataError

FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024
"""Two GiB unpacked: ten thousand account-days of a hundred requests of two kilobytes."""
LINE_BYTES_MAX = 256 * 1024 * 1024
"""One account-day in memory at a time; a larger one is scored from sketches, not from a file."""


class Meter(msgspec.Struct, frozen=True):
    """What the meter knows of a request without its text. `None` means not recorded."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    n: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    logprobs: bool | None = None
    end_user: str | None = None
    key: str | None = None
    payment: str | None = None
    network: str | None = None
    client: str | None = None
    model: str | None = None
    second_of_day: int | None = None


class Request(msgspec.Struct, frozen=True):
    """One request: a system prompt and turns, user first, the last one being what is asked."""

    turns: tuple[str, ...]
    system: str = ""
    meter: Meter | None = None


class AccountDay(msgspec.Struct, frozen=True):
    """What one account asked on one day."""

    account: str
    requests: tuple[Request, ...]
    day: str = ""


def read_days(path: Path) -> Iterator[AccountDay]:
    """The account-days of a file, one at a time.

    Raises:
        DataError: names the file, the line and what is wrong with it.
    """
    read = 0
    try:
        with _opened(path) as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX + 1):
                number, read = number + 1, read + len(line)
                if len(line) > LINE_BYTES_MAX or read > FILE_BYTES_MAX:
                    raise DataError(
                        f"{path.name}, line {number}: more than one file may hold",
                        hint="split the file; each line stands alone",
                    )
                if line.strip():
                    yield _day(line, f"{path.name}, line {number}")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path.name} cannot be unpacked: {error}") from error


def _opened(path: Path) -> io.BufferedReader | gzip.GzipFile:
    if path.name.casefold().endswith(".gz"):
        return gzip.open(path)
    return path.open("rb")


def _day(line: bytes, where: str) -> AccountDay:
    try:
        day = msgspec.json.decode(line, type=AccountDay)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise DataError(
            f"{where}: {error}",
            hint='a line is {"account": "...", "requests": [{"system": "", "turns": ["..."]}]}',
        ) from error
    if any(not request.turns for request in day.requests):
        raise DataError(f"{where}: account {day.account} has a request without a turn")
    return day
