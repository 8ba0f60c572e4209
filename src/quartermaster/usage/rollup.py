"""The hourly rollup as a table of its own: what dashboards and outside tools read.

It is derived: it can be thrown away and made again, and a cut always gives the same rows.
"""

from hashlib import sha256
from pathlib import Path

import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import Cut, HourlyUsage
from quartermaster.kernel.units import AXES
from quartermaster.usage.delta import DeltaFacts
from quartermaster.usage.query import hourly
from quartermaster.usage.table import UsageTable

_TEXT, _INTEGER = pa.string(), pa.int64()

SCHEMA = pa.schema(
    [
        ("customer", _TEXT),
        ("contract", _TEXT),
        ("contract_version", _INTEGER),
        ("price_book", _TEXT),
        ("project", _TEXT),
        ("key_id", _TEXT),
        ("model", _TEXT),
        ("deployment", _TEXT),
        ("service_class", _TEXT),
        ("hour", pa.timestamp("us", "UTC")),
        ("requests", _INTEGER),
        *((axis, _INTEGER) for axis in AXES),
    ]
)

# An hour of one key that does not fit 64 bits is no usage; refuse instead of wrapping around.
SUM_MAX = 2**63 - 1


class RollupWritten(msgspec.Struct, frozen=True):
    """Which cut the rollup table holds, and the hash of its rows."""

    cut: Cut
    rows: int
    sha256: str


def rows_sha256(rows: list[HourlyUsage]) -> str:
    """Hash of the rows in their order: equal cuts have equal hashes."""
    return sha256(msgspec.msgpack.encode(rows)).hexdigest()


def rollup_facts(path: Path) -> DeltaFacts:
    """The rollup table in its folder, such as `var/usage_hourly`."""
    return DeltaFacts(path, SCHEMA)


def write_rollup(table: UsageTable, cut: Cut, path: Path) -> RollupWritten:
    """Replace the rollup table by the rows of this cut, unless it holds them already.

    Args:
        table: the usage table.
        cut: which rows count.
        path: folder of the rollup table, such as `var/usage_hourly`.

    Raises:
        IntegrityError: a sum does not fit 64 bits.
    """
    rows = hourly(table, cut)
    written = RollupWritten(dict(sorted(cut.items())), len(rows), rows_sha256(rows))
    facts = rollup_facts(path)
    stamp = msgspec.json.encode(written).decode()
    if facts.exists():
        last = DeltaTable(str(path)).history(1)[0]
        if last.get("quartermaster_rollup") == stamp:
            return written
    facts.replace(_to_table(rows), {"quartermaster_rollup": stamp})
    return written


def _to_table(rows: list[HourlyUsage]) -> pa.Table:
    columns: dict[str, list[object]] = {name: [] for name in SCHEMA.names}
    for row in rows:
        for axis in AXES:
            quantity = getattr(row.counts, axis)
            if quantity > SUM_MAX:
                raise IntegrityError(f"{quantity} {axis} of {row.key_id} in one hour cannot be")
            columns[axis].append(quantity)
        for name in SCHEMA.names:
            if name not in AXES:
                columns[name].append(getattr(row, name))
    return pa.table(columns, schema=SCHEMA)
