"""The exposure page's tables as JSON and CSV: full precision, and on every row what it hangs on."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from quartermaster.console.ports_exposure import ExposureFacts, FanMonth, Loss
from quartermaster.console.report_words import statistic
from quartermaster.console.tables import Cell, Rows, iso
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.money import Money

Table = Literal["shares", "history", "loss", "forecast"]
TABLES: tuple[Table, ...] = get_args(Table)
SCHEMA = "exposure/1"

COLUMNS: dict[Table, tuple[str, ...]] = {
    "shares": (
        *("rank", "group", "name", "amount", "currency", "share", "band"),
        *("denominator", "first", "last", "sample"),
    ),
    "history": ("last", "name", "share", "low", "high", "level", "window_months", "sample"),
    "loss": (
        *("group", "name", "customers", "revenue_share", "shortfall_share"),
        *("shortfall_share_at_equal_hazard", "shortfall_contribution", "currency"),
        *("hazard_per_year", "asked_customer", "asked_hazard_per_year", "others_hazard_per_year"),
        *("equal_hazard_per_year", "horizon_months", "quantile", "scenarios", "seed", "sample"),
    ),
    "forecast": (
        *("month", "amount", "low", "high", "interval_measured"),
        *("amount_without", "low_without", "high_without", "interval_without_measured"),
        *("without", "level", "currency", "sample"),
    ),
}


def rows_of(facts: ExposureFacts | None) -> dict[Table, Rows]:
    """Every table; empty ones where there is nothing to show."""
    if facts is None:
        return {name: [] for name in TABLES}
    return {
        "shares": _shares(facts),
        "history": _history(facts),
        "loss": [] if facts.loss is None else _loss(facts, facts.loss),
        "forecast": _forecast(facts),
    }


def as_json(facts: ExposureFacts | None, tables: Mapping[Table, Rows], now: Instant) -> bytes:
    """All tables in one object, with the question and the data; decimals are strings."""
    body: dict[str, object] = {"schema": SCHEMA, "at": iso(now)}
    if facts is not None:
        body |= {
            "sample": facts.sample,
            "data_sha256": facts.data_sha256,
            "denominator": facts.denominator.en,
            "asked": msgspec.to_builtins(facts.asked),
            "gini": facts.gini,
            "effective_number": facts.effective_number,
            "loss_missing": facts.loss_missing,
        }
        if facts.loss is not None:
            body["loss_totals"] = _totals(facts, facts.loss)
    body.update({str(name): rows for name, rows in tables.items()})
    return msgspec.json.encode(body)


def _major(minor: int | None, facts: ExposureFacts) -> Cell:
    return "" if minor is None else Money(minor, facts.currency).decimal


def _shares(facts: ExposureFacts) -> Rows:
    return [
        {
            "rank": rank,
            "group": group.group,
            "name": group.name,
            "amount": _major(group.minor, facts),
            "currency": facts.currency,
            "share": group.share,
            "band": group.band or "",
            "denominator": facts.denominator.en,
            "first": facts.first,
            "last": facts.last,
            "sample": facts.sample,
        }
        for rank, group in enumerate(facts.groups, start=1)
    ]


def _history(facts: ExposureFacts) -> Rows:
    if facts.history is None:
        return []
    return [
        {
            "last": window.last,
            "name": window.name,
            "share": statistic(window.share),
            "low": "" if window.low is None else statistic(window.low),
            "high": "" if window.high is None else statistic(window.high),
            "level": facts.history.level,
            "window_months": facts.history.window_months,
            "sample": facts.sample,
        }
        for window in facts.history.windows
    ]


def _loss(facts: ExposureFacts, loss: Loss) -> Rows:
    parts = loss.parts if loss.others is None else (*loss.parts, loss.others)
    return [
        {
            "group": part.group,
            "name": part.name,
            "customers": part.count,
            "revenue_share": part.revenue_share,
            "shortfall_share": part.loss_share,
            "shortfall_share_at_equal_hazard": part.loss_share_at_equal_hazard,
            "shortfall_contribution": _major(part.contribution_minor, facts),
            "currency": facts.currency,
            "hazard_per_year": "" if part.hazard is None else part.hazard,
            "asked_customer": facts.asked.customer,
            "asked_hazard_per_year": facts.asked.hazard,
            "others_hazard_per_year": facts.asked.others,
            "equal_hazard_per_year": loss.equal_hazard,
            "horizon_months": facts.asked.horizon_months,
            "quantile": facts.asked.quantile,
            "scenarios": loss.scenarios,
            "seed": loss.seed,
            "sample": facts.sample,
        }
        for part in parts
    ]


def _totals(facts: ExposureFacts, loss: Loss) -> dict[str, Cell]:
    return {
        "plan": _major(loss.plan_minor, facts),
        "expected_loss": _major(loss.expected_minor, facts),
        "expected_shortfall": _major(loss.shortfall_minor, facts),
        "expected_shortfall_standard_error": _major(loss.shortfall_error_minor, facts),
        "expected_shortfall_at_equal_hazard": _major(loss.shortfall_at_equal_hazard_minor, facts),
        "equal_hazard_per_year": loss.equal_hazard,
        "currency": facts.currency,
    }


def _forecast(facts: ExposureFacts) -> Rows:
    fan = facts.fan
    if fan is None:
        return []
    rows = []
    for month, whole, without in zip(fan.months, fan.whole, fan.without, strict=True):
        row: dict[str, Cell] = {"month": month}
        row |= _point(whole, "", "interval_measured", facts)
        row |= _point(without, "_without", "interval_without_measured", facts)
        row |= {
            "without": facts.asked.name,
            "level": Decimal(fan.level),
            "currency": facts.currency,
            "sample": facts.sample,
        }
        rows.append(row)
    return rows


def _point(point: FanMonth, suffix: str, measured: str, facts: ExposureFacts) -> dict[str, Cell]:
    return {
        f"amount{suffix}": _major(point.minor, facts),
        f"low{suffix}": _major(point.low, facts),
        f"high{suffix}": _major(point.high, facts),
        measured: point.measured,
    }
