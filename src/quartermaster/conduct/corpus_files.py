"""Corpora that the user has, item by item: text lines, JSON lines, or one JSON array.

Of an object the fields in `PROMPT_FIELDS` are joined in that order, which covers the common shapes
of training sets and benchmarks; other fields, such as answers, are not read.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from quartermaster.kernel.errors import DataError

PROMPT_FIELDS = ("instruction", "input", "prompt", "question", "query", "problem", "text")
CORPUS_BYTES_MAX = 1024 * 1024 * 1024
"""A gibibyte: a JSON array of that size still fits a machine's memory."""

T = TypeVar("T")
Item = str | dict[str, object]
_ARRAY: msgspec.json.Decoder[list[Item]] = msgspec.json.Decoder(list[Item])
_LINE: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Item)


def read_items(path: Path) -> Iterator[str]:
    """The prompts of a corpus; `.jsonl` and `.json`, gzipped or not, anything else is text lines.

    Raises:
        DataError: the file cannot be read, or an item has none of the fields.
    """
    name = path.name.casefold().removesuffix(".gz")
    data = _bytes(path)
    items: list[Item]
    if name.endswith(".json"):
        items = _decoded(data, _ARRAY, path.name)
    elif name.endswith((".jsonl", ".ndjson")):
        items = [
            _decoded(line, _LINE, f"{path.name}, line {number}")
            for number, line in enumerate(data.splitlines(), start=1)
            if line.strip()
        ]
    else:
        items = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    for number, item in enumerate(items, start=1):
        yield item if isinstance(item, str) else _prompt(item, f"{path.name}, item {number}")


def _prompt(item: dict[str, object], where: str) -> str:
    parts = [item[field] for field in PROMPT_FIELDS if isinstance(item.get(field), str)]
    if not parts:
        raise DataError(
            f"{where}: none of the fields {', '.join(PROMPT_FIELDS)} holds text",
            hint="rename the field that holds the prompt",
        )
    return "\n".join(str(part) for part in parts)


def _decoded(data: bytes, decoder: "msgspec.json.Decoder[T]", where: str) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise DataError(f"{where}: {error}", hint="an item is a string or an object") from error


def _bytes(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.name.casefold().endswith(".gz") else path.open("rb") as file:
            data = file.read(CORPUS_BYTES_MAX + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path.name} cannot be unpacked: {error}") from error
    if len(data) > CORPUS_BYTES_MAX:
        raise DataError(f"{path.name} is larger than a gibibyte", hint="split the file")
    return data
