"""The public account-days as fingerprints: what the benchmark composes its tenants from."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.public_data import PUBLIC_DATA
from quartermaster.conduct.observe import KEY_BYTES, Observer
from quartermaster.conduct.records import Request
from quartermaster.conduct.sketch import Sample, stacked

FILE = PUBLIC_DATA / "conduct" / "dev.jsonl.gz"
KEY = bytes(KEY_BYTES)
MERGED = {"claude45": "alpaca", "codegen": "code", "evolmix": "evol"}
"""Families with common origin are one: the first two share instructions, the others templates."""
MULTI = "mixed"
"""Account-days of several workloads already; the benchmark mixes its own, within a fold."""


class Row(msgspec.Struct):
    """One line of the file, labels included: only the benchmark reads them."""

    account: str
    label: str
    family: str
    fraction: float
    evasion: bool
    requests: list[Request]


class Source(NamedTuple):
    """One account-day of one family: rows that composed tenants draw from."""

    at: int
    harvest: bool
    family: str
    """The group: (label, family), related families merged."""
    evasion: bool
    sample: Sample


def rows(path: Path = FILE) -> Iterator[Row]:
    """The account-days with their labels."""
    decoder = msgspec.json.Decoder(Row)
    with gzip.open(path) as file:
        for line in file:
            yield decoder.decode(line)


def group(row: Row) -> str:
    """The family that is held out as a whole."""
    if row.label == "extraction":
        return f"harvest:{MERGED.get(row.family, row.family)}"
    return f"ordinary:{row.family}"


def sources(observer: Observer, path: Path = FILE) -> list[Source]:
    """Every account-day of one family: ordinary workloads and pure campaigns."""
    found = []
    for at, row in enumerate(rows(path)):
        harvest = row.label == "extraction"
        if row.family == MULTI or (harvest and row.fraction < 1):
            continue
        prints = stacked(observer.observe(request) for request in row.requests)
        found.append(Source(at, harvest, group(row), row.evasion, prints))
    return found
