"""The revenue page's tables as JSON and CSV: exact amounts, each with its currency."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from quartermaster.console.ports_revenue import RevenueFacts
from quartermaster.console.tables import Cell, Rows
from quartermaster.revenue.by_month import AccruedLine, ContractMonth, MonthTotal

Table = Literal["months", "totals", "accrued", "rates"]
COLUMNS: dict[Table, tuple[str, ...]] = {
    "months": (*ContractMonth.__struct_fields__, "converted_currency"),
    "totals": (*MonthTotal.__struct_fields__, "currency"),
    "accrued": (*AccruedLine.__struct_fields__, "converted_currency"),
    "rates": ("on", "base", "quote", "rate", "source"),
}


def rows_of(facts: RevenueFacts) -> dict[Table, Rows]:
    """Every table of the page; what no rate converts is an empty cell."""
    found = facts.months
    rows: dict[Table, Rows] = {"months": [], "totals": [], "accrued": [], "rates": []}
    rows["rates"] = [_cells(one) for one in facts.rates]
    if found is not None:
        unit: dict[str, Cell] = {"converted_currency": found.currency}
        rows["months"] = [_cells(line) | unit for line in found.months]
        rows["accrued"] = [_cells(line) | unit for line in found.accrued]
        rows["totals"] = [_cells(one) | {"currency": found.currency} for one in found.totals]
    return rows


def as_json(facts: RevenueFacts, rows: Mapping[Table, Rows]) -> bytes:
    """The document of the API, or what there is where nothing was rated."""
    body = {} if facts.months is None else msgspec.to_builtins(facts.months)
    return msgspec.json.encode(body | {"recorded_rates": rows["rates"]})


def _cells(one: msgspec.Struct) -> dict[str, Cell]:
    found = msgspec.structs.asdict(one)
    return {name: "" if value is None else value for name, value in found.items()}
