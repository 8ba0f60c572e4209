"""Read who reports how large a customer from the SEC's financial-statement files.

Both families: "Financial Statement Data Sets" (sub.txt, num.txt with a `segments` column) and
"Financial Statement and Notes" (sub.tsv, num.tsv, and dim.tsv that holds the segments by hash). A
folder holds one set, or one folder for each. Files are read line by line; kept are annual filings
and their shares of revenue by customer, nothing else. Standard tags need no tag file.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.kernel.errors import DataError

FACTS_MAX = 2_000_000
"""Fifty years at the pace of 2024; some 400 MB."""
FILINGS_MAX = 1_000_000
"""Annual filings since electronic filing began are fewer."""
DIMENSIONS_MAX = 2_000_000
"""Of the combinations that name a customer; a quarter has some thousands."""
LINE_BYTES_MAX = 1_000_000
"""Footnotes are the longest field and cut at 512 characters; a longer line is another file."""

TAGS = frozenset({b"ConcentrationRiskPercentage1", b"ConcentrationRiskPercentage"})
_TAG_START = b"ConcentrationRiskPercentage"
_STANDARD = b"us-gaap"
ANNUAL_FORMS = frozenset({b"10-K", b"10-K/A", b"10-KT", b"10-KT/A", b"20-F", b"20-F/A", b"40-F"})
QUARTERS_OF_A_YEAR = b"4"
CUSTOMER_AXIS, BENCHMARK_AXIS, TYPE_AXIS = (
    "MajorCustomers",
    "ConcentrationRiskByBenchmark",
    "ConcentrationRiskByType",
)
CUSTOMER_RISK = "CustomerConcentrationRisk"
# Benchmarks that are all of the filer's revenue, and not a segment's or a product's.
WHOLE_REVENUE = frozenset(
    {
        "SalesRevenueNet",
        "Revenues",
        "SalesRevenue",
        "RevenueBenchmark",
        "RevenueFromContractWithCustomer",
        "RevenueFromContractWithCustomerBenchmark",
        "RevenueFromContractWithCustomerProductAndServiceBenchmark",
    }
)
_N = TypeVar("_N", int, float)
# Members that are more than one customer, or none in particular.
_COLLECTIVE = re.compile(
    r"customers|distributors|clients|payors|retailers|other|intersegment|residential|commercial"
)


class Filing(NamedTuple):
    """An annual filing."""

    adsh: str
    filer: int
    year_end: int
    """Month of the balance sheet, as year * 12 + month - 1."""
    filed: int


class Shares(NamedTuple):
    """What was read: annual filings, and by filing and year the share of each customer."""

    filings: tuple[Filing, ...]
    shares: Mapping[str, Mapping[int, Mapping[str, float]]]
    sets: int
    left_out: Mapping[str, int]
    """Facts with a customer that do not count, by reason."""


class _Set(NamedTuple):
    """The files of one set."""

    sub: Path
    num: Path
    dim: Path | None


class _Row:
    """A line's fields by column, and where it stands."""

    __slots__ = ("columns", "fields", "where")

    def __init__(self, fields: list[bytes], columns: Mapping[str, int], where: str) -> None:
        self.fields = fields
        self.columns = columns
        self.where = where

    def __getitem__(self, column: str) -> bytes:
        return self.fields[self.columns[column]]

    def text(self, column: str) -> str:
        """The field as text without blanks around it."""
        return self[column].decode("utf-8", "replace").strip()


def read_sec(folder: Path) -> Shares:
    """Every annual filing and customer share in a folder.

    Raises:
        DataError: names the file, and the line where there is one.
    """
    sets = list(_sets(folder))
    filings: dict[str, Filing] = {}
    shares: dict[str, dict[int, dict[str, float]]] = {}
    left_out: Counter[str] = Counter()
    count = 0
    for one in sets:
        for filing in _filings(one.sub):
            filings[filing.adsh] = filing
            _bounded(filings, FILINGS_MAX, one.sub, "annual filings")
        dimensions = _dimensions(one.dim) if one.dim is not None else None
        for adsh, month, member, share in _facts(one.num, filings, dimensions, left_out):
            shares.setdefault(adsh, {}).setdefault(month, {}).setdefault(member, share)
            count += 1
            if count > FACTS_MAX:
                raise DataError(f"{one.num} takes the facts above {FACTS_MAX}")
    return Shares(tuple(filings.values()), shares, len(sets), dict(sorted(left_out.items())))


def _sets(folder: Path) -> Iterator[_Set]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", hint="unpack the SEC's archives into one")
    found = False
    for place in [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())]:
        files = {name: _file(place, name) for name in ("sub", "num", "dim")}
        sub, num = files["sub"], files["num"]
        if num is None and sub is None:
            continue
        if num is None or sub is None:
            missing = "num" if num is None else "sub"
            raise DataError(f"{place} has no {missing}.txt or {missing}.tsv")
        found = True
        yield _Set(sub, num, files["dim"])
    if not found:
        raise DataError(
            f"{folder} holds no sub and num file",
            hint="unpack each archive of the SEC into the folder or one folder below it",
        )


def _file(place: Path, name: str) -> Path | None:
    return next((p for end in ("txt", "tsv") if (p := place / f"{name}.{end}").is_file()), None)


def _filings(path: Path) -> Iterator[Filing]:
    for row in _rows(path, ("adsh", "cik", "form", "period", "filed")):
        if row["form"].strip() in ANNUAL_FORMS and row["period"].strip():
            yield Filing(
                adsh=row.text("adsh"),
                filer=_number(row, "cik", int),
                year_end=_month(row, "period"),
                filed=_number(row, "filed", lambda text: int(text.replace("-", "")[:8])),
            )


def _dimensions(path: Path) -> dict[bytes, str]:
    """Segments by hash, of those that name a customer."""
    wanted = CUSTOMER_AXIS.encode()
    kept: dict[bytes, str] = {}
    for row in _rows(path, ("dimhash", "segments")):
        if wanted in row["segments"]:
            kept[row["dimhash"]] = row.text("segments")
            _bounded(kept, DIMENSIONS_MAX, path, "combinations")
    return kept


def _facts(
    path: Path,
    filings: Mapping[str, Filing],
    dimensions: Mapping[bytes, str] | None,
    left_out: Counter[str],
) -> Iterator[tuple[str, int, str, float]]:
    """Filing, month of the year's end, customer and share, of every fact that counts."""
    by_hash = dimensions is not None
    needed = ("adsh", "tag", "version", "ddate", "qtrs", "value")
    hint = "" if by_hash else "without a dim file, num needs the column segments"
    columns = (*needed, "dimh" if by_hash else "segments")
    for row in _rows(path, columns, hint, only=_TAG_START):
        if row["tag"] not in TAGS or row["qtrs"].strip() != QUARTERS_OF_A_YEAR:
            continue
        if not row["version"].startswith(_STANDARD):
            continue  # a tag of the filer's own, whatever it means
        if "iprx" in row.columns and row["iprx"].strip() not in (b"", b"0"):
            continue  # the same fact once more, with other decimals
        adsh = row.text("adsh")
        if adsh not in filings or not row["value"].strip():
            continue
        if dimensions is not None:
            segments = dimensions.get(row["dimh"], "")
        else:
            segments = row.text("segments")
        member, reason = _customer(segments)
        share = _number(row, "value", float)
        if member and not 0 < share <= 1:
            member, reason = "", "not_a_share"
        if member and row.columns.get("coreg") is not None and row["coreg"].strip():
            member, reason = "", "co_registrant"
        if member:
            yield adsh, _month(row, "ddate"), member, share
        elif reason:
            left_out[reason] += 1


def _customer(segments: str) -> tuple[str, str]:
    """The one customer that a fact is about, or why it does not count; neither without a customer.

    The files leave the suffixes Axis and Member out; some tools put them back.
    """
    pairs: dict[str, str] = {}
    for pair in segments.split(";"):
        axis, _, member = pair.strip().partition("=")
        if axis:
            pairs[axis.rpartition(":")[2].removesuffix("Axis")] = member.removesuffix("Member")
    member = pairs.pop(CUSTOMER_AXIS, "")
    if not member:
        return "", ""
    benchmark, kind = pairs.pop(BENCHMARK_AXIS, ""), pairs.pop(TYPE_AXIS, CUSTOMER_RISK)
    if pairs:
        return "", "part_of_filer"
    if kind != CUSTOMER_RISK:
        return "", "other_risk"
    if not benchmark:
        return "", "no_benchmark"
    if benchmark not in WHOLE_REVENUE:
        return "", "not_revenue"
    if _COLLECTIVE.search(member.casefold()):
        return "", "collective"
    return member, ""


def _rows(
    path: Path, needed: tuple[str, ...], hint: str = "", only: bytes = b"\t"
) -> Iterator[_Row]:
    """Lines that hold `only` somewhere; every line is checked for its number of fields."""
    with _opened(path) as file:
        header = file.readline(LINE_BYTES_MAX).decode("utf-8-sig", "replace").rstrip("\r\n")
        columns = {name.strip(): at for at, name in enumerate(header.split("\t"))}
        missing = [name for name in needed if name not in columns]
        if missing:
            raise DataError(f"{path}, line 1: no column {missing[0]!r}", hint=hint)
        tabs = len(columns) - 1
        number = 1
        while line := file.readline(LINE_BYTES_MAX + 1):
            number += 1
            if len(line) > LINE_BYTES_MAX:
                raise DataError(f"{path}, line {number}: longer than {LINE_BYTES_MAX} bytes")
            if not line.strip():
                continue
            if line.count(b"\t") != tabs:
                found = line.count(b"\t") + 1
                raise DataError(f"{path}, line {number}: {found} fields instead of {tabs + 1}")
            if only in line:
                yield _Row(line.rstrip(b"\r\n").split(b"\t"), columns, f"{path}, line {number}")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _number(row: _Row, column: str, make: Callable[[str], _N]) -> _N:
    text = row.text(column)
    try:
        return make(text)
    except ValueError as error:
        raise DataError(f"{row.where}: {column} {text[:40]!r} is not a number") from error


def _month(row: _Row, column: str) -> int:
    """A date `20231231`, or `2023-12-31`, as year * 12 + month - 1."""
    text = row.text(column).replace("-", "")
    if len(text) != len("20231231") or not text.isdecimal() or not 1 <= int(text[4:6]) <= 12:
        raise DataError(f"{row.where}: {column} {text[:40]!r} is not a date such as 20231231")
    return int(text[:4]) * MONTHS_A_YEAR + int(text[4:6]) - 1


def _bounded(kept: Sized, limit: int, path: Path, what: str) -> None:
    if len(kept) > limit:
        raise DataError(f"{path} takes the {what} above {limit}")
