"""Output tokens of single requests: what an answer was, for those whose text was read."""

from collections.abc import Collection

from ibis import _

from quartermaster.kernel.clock import Period
from quartermaster.kernel.events import Cut
from quartermaster.usage import engine
from quartermaster.usage.query import within
from quartermaster.usage.table import UsageTable


def written(
    table: UsageTable, cut: Cut, *, customer: str, period: Period, requests: Collection[str]
) -> dict[str, int]:
    """Output and reasoning tokens by request; requests that are not in the table are missing.

    Args:
        table: the usage table.
        cut: which rows count.
        customer: whose requests.
        period: when they were opened.
        requests: their ids.
    """
    files = table.files()
    if not files or not cut or not requests:
        return {}
    rows = engine.served(engine.scan(files)).filter(engine.at_cut(cut))
    rows = rows.filter(within(period)).filter(_.customer == customer)
    rows = rows.filter(_.request_id.isin(sorted(requests)))
    found = engine.rows_of(rows.select("request_id", "output", "reasoning"))
    return {row["request_id"]: int(row["output"]) + int(row["reasoning"]) for row in found}
