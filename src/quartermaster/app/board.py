"""The board report's facts: revenue from wherever it came, and everything that hangs on it.

Reading files is the caller's part; here rooms are asked and their answers put side by side. The
simulation is bounded so that a report of a thousand customers is a matter of seconds.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from quartermaster.app.board_loss import loss_of
from quartermaster.app.console_book import ShownBook, live_shown, sample_shown
from quartermaster.app.console_exposure import SAMPLE_HAZARD
from quartermaster.app.console_fan import MONTHS_MIN, closed_rows, fan_of
from quartermaster.app.pdf import printed
from quartermaster.console.board_facts import BoardFacts, Given, Origin, Rates
from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_exposure import Fan
from quartermaster.exposure.bands import BandRules, assess
from quartermaster.exposure.book import recipe, scenario_exposure
from quartermaster.exposure.history import ShareHistory, share_history
from quartermaster.exposure.report import ControlFacts, InputFile, Report, scenario_report
from quartermaster.exposure.risk_assumptions import Assumptions, Hazards
from quartermaster.exposure.rollup import Exposure, Member, measure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import Scenario
from quartermaster.sim.book import reference_scenario

BY_DEFAULT = BandRules()
"""Edges at 10 % and 25 % of revenue, and no plans."""


class Revenue(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is about: shares with their bands, and the months behind them."""

    origin: Origin
    report: Report
    rows: tuple[RevenueRow, ...] = ()
    """Of closed months; empty where a scenario states one figure for all of them."""
    largest: str = ""
    """Id of the largest group in `rows`, where the report shows its name."""
    source: Bilingual | None = None
    scenario: Scenario | None = None
    still_open: bool = False


class Assumed(msgspec.Struct, frozen=True, kw_only=True):
    """The assumptions of the loss, and who set its rates."""

    assumptions: Assumptions
    rates: Rates


def facts_of(
    revenue: Revenue,
    assumed: Assumed,
    *,
    made_on: date,
    given: Given | None = None,
    threads: int = 0,
) -> BoardFacts:
    """Everything the report says of this revenue under these assumptions.

    Args:
        revenue: see there.
        assumed: of the loss.
        made_on: stands in the report.
        given: parts that come from files of their own.
        threads: that simulate; 0: all of the machine.
    """
    loss = loss_of(revenue.report.exposure, assumed.assumptions, threads=threads)
    return BoardFacts(
        origin=revenue.origin,
        made_on=made_on,
        report=revenue.report,
        rates=assumed.rates,
        source=revenue.source,
        still_open=revenue.still_open,
        scenario=revenue.scenario,
        risk=loss.risk,
        risk_missing=loss.missing,
        risk_reason=loss.reason,
        leaving=loss.leaving,
        levers=loss.levers,
        fan=_fan(revenue),
        months_known=len({row.month for row in revenue.rows}),
        months_needed=MONTHS_MIN,
        given=given or Given(),
    )


def assumed_of(assumptions: Assumptions, *, chosen: bool, sample: bool) -> Assumed:
    """The assumptions with the sample's rate where nobody chose one and the book is a sample."""
    if chosen:
        return Assumed(assumptions=assumptions, rates="chosen")
    if not sample:
        return Assumed(assumptions=assumptions, rates="default")
    hazards = Hazards(top=float(SAMPLE_HAZARD), rest=assumptions.hazard_per_year.rest)
    return Assumed(
        assumptions=msgspec.structs.replace(assumptions, hazard_per_year=hazards), rates="sample"
    )


def rows_revenue(
    rows: Sequence[RevenueRow],
    exposure: Exposure,
    *,
    origin: Origin,
    title: str,
    source: InputFile | None = None,
    control: ControlFacts | None = None,
    rules: BandRules = BY_DEFAULT,
    rules_file: InputFile | None = None,
) -> Revenue:
    """The revenue of monthly rows, such as a CSV's.

    Args:
        rows: by month, under the control that counts.
        exposure: of the window that shares are of.
        origin: where it came from.
        title: of the report.
        source: the file it came from.
        control: by whose control entities were rolled up.
        rules: edges of the bands, and plans.
        rules_file: the file these came from.

    Raises:
        DataError: the rules do not fit the revenue.
    """
    months, last = exposure.denominator.months, exposure.denominator.last
    known = tuple(row for row in rows if row.month <= last)
    report = Report(
        title=title,
        exposure=exposure,
        run_rates=(),
        input=source,
        history=share_history(known, months=months, last=last),
        control=control,
        bands=assess(exposure, rules),
        bands_file=rules_file,
    )
    return Revenue(origin=origin, report=report, rows=known, largest=exposure.groups[0].group)


def scenario_revenue(
    scenario: Scenario,
    source: InputFile | None,
    *,
    rules: BandRules = BY_DEFAULT,
    rules_file: InputFile | None = None,
) -> Revenue:
    """The revenue that a scenario's claims come to; it has no months.

    Raises:
        DataError: the scenario has no book, or the rules do not fit it.
    """
    exposure = scenario_exposure(scenario)
    report = msgspec.structs.replace(
        scenario_report(scenario, exposure, source),
        bands=assess(exposure, rules),
        bands_file=rules_file,
    )
    return Revenue(origin="scenario", report=report, scenario=scenario)


def shown_revenue(
    book: ShownBook, *, rules: BandRules = BY_DEFAULT, rules_file: InputFile | None = None
) -> Revenue:
    """The revenue of the sample or of the live book, with names in the place of ids.

    Raises:
        DataError: the rules do not fit the revenue.
    """
    rows = closed_rows(book.rows, book.open_from)
    still_open = not rows
    rows = rows or book.rows
    scope = _scope(book)
    exposure = measure(rows, scope=scope.en, scope_de=scope.de)
    origin: Literal["sample", "live"] = "sample" if book.sample else "live"
    found = rows_revenue(rows, exposure, origin=origin, title="")
    names = _unique(book.names)
    named = _named(exposure, names)
    history = found.report.history
    report = msgspec.structs.replace(
        found.report,
        exposure=named,
        bands=assess(named, rules),
        bands_file=rules_file,
        history=None if history is None else _named_history(history, names),
    )
    return msgspec.structs.replace(
        found,
        report=report,
        rows=() if still_open else found.rows,
        source=book.origin,
        still_open=still_open,
    )


class ShownBoard:
    """The console's port over a book that may change between two calls."""

    def __init__(self, var: Path | None) -> None:
        """`var`: the data folder of the live book; None: the sample."""
        self._var = var

    def board(self, made_on: date) -> BoardFacts | None:
        """The facts, or None while there is no revenue."""
        book = sample_shown() if self._var is None else live_shown(self._var)
        if book is None:
            return None
        assumed = assumed_of(Assumptions(), chosen=False, sample=book.sample)
        # The gateways have the other processors.
        return facts_of(shown_revenue(book), assumed, made_on=made_on, threads=1)

    def printed(self, page: str) -> bytes:
        """A page as PDF.

        Raises:
            UnavailableError: nothing on this machine prints.
        """
        return printed(page)


def _scope(book: ShownBook) -> Bilingual:
    """Whose revenue it is, as it stands in a share's denominator."""
    if not book.sample:
        currency = book.rows[0].currency
        return Bilingual(
            de=f"allen in {currency} abgerechneten Kunden (gezählte Nutzung, ohne Steuern)",
            en=f"all customers billed in {currency} (metered usage, excl. tax)",
        )
    scenario = reference_scenario()
    scope = scenario.scope_by_id[scenario.claim_by_id[recipe(scenario).total].scope]
    return Bilingual(de=scope.said("de"), en=scope.said("en"))


def _fan(revenue: Revenue) -> Fan | None:
    return fan_of(revenue.rows, revenue.largest) if revenue.rows else None


def _unique(names: Mapping[str, str]) -> dict[str, str]:
    """Names by id; where two ids have one name, each says its id."""
    ids: dict[str, list[str]] = {}
    for identity, name in names.items():
        # A group and its own customer may share a name: they are never listed beside each other.
        kind = identity.partition(":")[0] if identity.startswith("customer:") else "group"
        ids.setdefault(f"{kind}:{name}", []).append(identity)
    return {
        identity: name if len(same) == 1 else f"{name} ({identity.removeprefix('customer:')})"
        for key, same in ids.items()
        for name in [key.partition(":")[2]]
        for identity in same
    }


def _named(exposure: Exposure, names: Mapping[str, str]) -> Exposure:
    def of(identity: str) -> str:
        return names.get(identity, identity)

    groups = tuple(
        msgspec.structs.replace(
            group,
            group=of(group.group),
            members=tuple(Member(of(one.customer), one.minor) for one in group.members),
        )
        for group in exposure.groups
    )
    excluded = tuple(Member(of(one.customer), one.minor) for one in exposure.excluded)
    return msgspec.structs.replace(exposure, groups=groups, excluded=excluded)


def _named_history(history: ShareHistory, names: Mapping[str, str]) -> ShareHistory:
    points = tuple(
        msgspec.structs.replace(point, group=names.get(point.group, point.group))
        for point in history.points
    )
    return msgspec.structs.replace(history, points=points)
