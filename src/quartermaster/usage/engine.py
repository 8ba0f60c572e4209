"""The query engine: Ibis expressions over the table's files, DuckDB by default.

The list of files comes from the Delta log. Ibis's own `read_delta` needs a DuckDB extension that is
downloaded at run time, which an installation without network does not have.
"""

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

import ibis
from ibis import _

from quartermaster.kernel.events import Cut


def scan(files: Sequence[str]) -> Any:  # noqa: ANN401 - Ibis is not typed
    """These Parquet files as one Ibis table of a fresh in-memory DuckDB.

    `union_by_name` reads files written before a column was added.
    """
    connection = ibis.duckdb.connect()
    return connection.read_parquet(list(files), hive_partitioning=True, union_by_name=True)


def served(rows: Any) -> Any:  # noqa: ANN401 - Ibis is not typed
    """Without the attempts that were the seller's cost alone: one row a request.

    Files of an older version, which knew one attempt only, have no such column.
    """
    return rows.filter(~_.cost_only.fill_null(False)) if "cost_only" in rows.columns else rows


def at_cut(cut: Cut) -> Any:  # noqa: ANN401 - Ibis is not typed
    """The condition that a row belongs to the cut."""
    parts = [(_.app_id == app_id) & (_.segment <= last) for app_id, last in sorted(cut.items())]
    return reduce(operator.or_, parts, ibis.literal(False))


def rows_of(expression: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - Ibis is not typed
    """The result as one dictionary a row."""
    result: list[dict[str, Any]] = expression.to_pyarrow().to_pylist()
    return result
