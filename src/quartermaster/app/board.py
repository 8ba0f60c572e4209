"""The board report's facts: revenue from wherever it came, and everything that hangs on it.

Reading files is the caller's part; here rooms are asked and their answers put side by side. The
simulation is bounded so that a report of a thousand customers is a matter of seconds.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from quartermaster.app.board_loss import Loss, loss_of
from quartermaster.app.clerk_warning import read as last_look
from quartermaster.app.console_book import ShownBook, book_terms, live_shown, sample_shown
from quartermaster.app.console_exposure import SAMPLE_HAZARD, load_engine
from quartermaster.app.console_fan import MONTHS_MIN, closed_rows, fan_of
from quartermaster.app.live import Owed
from quartermaster.app.owed import bound, named_terms
from quartermaster.app.pdf import printed
from quartermaster.app.revenue_report import revenue_report
from quartermaster.console.board_facts import BoardFacts, CapacityFacts, Given, Origin, Rates
from quartermaster.console.ports import Bilingual
from quartermaster.console.ports_exposure import Fan
from quartermaster.console.ports_warning import WarningLook
from quartermaster.exposure.bands import BandRules, assess
from quartermaster.exposure.book import recipe, scenario_exposure
from quartermaster.exposure.history import ShareHistory
from quartermaster.exposure.report import InputFile, Report, scenario_report
from quartermaster.exposure.revenue_file import RevenueFile
from quartermaster.exposure.risk_assumptions import Assumptions, CustomerTerms, Hazards
from quartermaster.exposure.rollup import Exposure, Member, measure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.exposure.scenario import Scenario
from quartermaster.kernel.errors import DataError
from quartermaster.revenue.scorecard import Scorecard
from quartermaster.sim.book import reference_scenario

if TYPE_CHECKING:
    from quartermaster.exposure.departure_statements import Record

BY_DEFAULT = BandRules()
"""Edges at 10 % and 25 % of revenue, and no plans."""


REPORTS_MAX = 4
"""Reports kept in memory: of one book as it changes, some 100 kB each."""


class Revenue(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is about: shares with their bands, and the months behind them."""

    origin: Origin
    report: Report
    rows: tuple[RevenueRow, ...] = ()
    """Of closed months; empty where a scenario states one figure for all of them."""
    largest: str = ""
    """Id of the largest group in `rows`, where the report shows its name."""
    owed: tuple[Owed, ...] = ()
    """What contracts ask for, by ids of groups."""
    terms: tuple[CustomerTerms, ...] = ()
    """The same as terms of the loss, by the names that the report shows."""
    source: Bilingual | None = None
    look: WarningLook | None = None
    """What the clerk last saw in metered usage."""
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
    threads: int | None = 0,
) -> BoardFacts:
    """Everything the report says of this revenue under these assumptions.

    Args:
        revenue: see there.
        assumed: of the loss.
        made_on: stands in the report.
        given: parts that come from files of their own.
        threads: that simulate; 0: all of the machine; None: the simulation is not loaded yet.
    """
    loss = Loss(missing="loading")
    if threads is not None:
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
        bridge=loss.bridge,
        levers=loss.levers,
        fan=_fan(revenue),
        months_known=len({row.month for row in revenue.rows}),
        months_needed=MONTHS_MIN,
        given=msgspec.structs.replace(given or Given(), look=revenue.look),
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


def file_revenue(
    found: RevenueFile, *, rules: BandRules = BY_DEFAULT, rules_file: InputFile | None = None
) -> Revenue:
    """The revenue of a CSV.

    Raises:
        DataError: the rules do not fit the revenue.
    """
    report = revenue_report(
        found.rows,
        found.exposure,
        title=found.source.name,
        source=found.source,
        control=found.control,
    )
    return Revenue(
        origin="csv",
        report=_banded(report, rules, rules_file),
        rows=tuple(row for row in found.rows if row.month <= found.exposure.denominator.last),
        largest=report.largest.group,
    )


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
    report = _banded(scenario_report(scenario, exposure, source), rules, rules_file)
    return Revenue(origin="scenario", report=report, scenario=scenario)


def shown_revenue(
    book: ShownBook,
    *,
    rules: BandRules = BY_DEFAULT,
    rules_file: InputFile | None = None,
    look: WarningLook | None = None,
) -> Revenue:
    """The revenue of the sample or of the live book, with names in the place of ids.

    Args:
        book: of which it is.
        rules: edges of the bands, and plans.
        rules_file: the file these came from.
        look: what the clerk saw in the usage of the same customers.

    Raises:
        DataError: the rules do not fit the revenue.
    """
    rows = closed_rows(book.rows, book.open_from)
    still_open = not rows
    rows = rows or book.rows
    scope = _scope(book)
    exposure = measure(rows, scope=scope.en, scope_de=scope.de)
    names = _unique(book.names)
    report = revenue_report(rows, exposure, title="", source=None)
    history = report.history
    named = msgspec.structs.replace(
        report,
        exposure=_named(exposure, names),
        history=None if history is None else _named_history(history, names),
    )
    return Revenue(
        origin="sample" if book.sample else "live",
        report=_banded(named, rules, rules_file),
        rows=() if still_open else rows,
        largest=exposure.groups[0].group,
        source=book.origin,
        still_open=still_open,
        owed=book.owed,
        terms=named_terms(book_terms(book, exposure), names),
        look=look if look is None else _named_look(look, names),
    )


def _banded(report: Report, rules: BandRules, rules_file: InputFile | None) -> Report:
    bands = assess(report.exposure, rules)
    return msgspec.structs.replace(report, bands=bands, bands_file=rules_file)


class Beside(NamedTuple):
    """What a book holds besides revenue and use; each is asked whenever a report is shown."""

    statements: "Callable[[bool], Record | None]"
    """What was stated of customers and what came; told whether to wait for it."""
    capacity: Callable[[str, Exposure], CapacityFacts | None]
    """The fleet with and without the group of that id. Raises DataError where it cannot be used."""
    guidance: Callable[[], Scorecard | None] = lambda: None
    """What was promised and what came, as recorded; None where nothing is."""


NOTHING_BESIDE = Beside(lambda _wait: None, lambda _who, _revenue: None)
"""A book of revenue alone."""


class ShownBoard:
    """The console's port over a book that may change between two calls."""

    def __init__(
        self,
        source: Callable[[], ShownBook | None],
        *,
        look: Callable[[], WarningLook | None] = lambda: None,
        beside: Beside = NOTHING_BESIDE,
        engine: Callable[[], None] = load_engine,
    ) -> None:
        """`look`: what was last seen in the usage of the book's customers."""
        self._source, self._look, self._beside, self._engine = source, look, beside, engine
        self._lock = threading.Lock()
        self._reports: OrderedDict[tuple[str, date], BoardFacts] = OrderedDict()
        self._loaded = threading.Event()
        self._loader: threading.Thread | None = None

    def board(self, made_on: date, *, wait: bool = False) -> BoardFacts | None:
        """The facts, from memory where the same was asked of the same rows.

        The first call begins to load the simulation; until that is done, reports leave the loss
        out, unless the caller waits.
        """
        book = self._source()
        if book is None:
            return None
        revenue = shown_revenue(book, look=self._look())
        assumptions = bound(Assumptions(), revenue.terms)
        assumed = assumed_of(assumptions, chosen=False, sample=book.sample)
        with self._lock:
            if self._loader is None:
                self._loader = threading.Thread(target=self._load, daemon=True)
                self._loader.start()
        if wait:
            self._loaded.wait()
        elif not self._loaded.is_set():
            early = facts_of(revenue, assumed, made_on=made_on, threads=None)
            return self._with_beside(early, revenue, wait=False)
        # Which months are over is no part of the rows.
        seen = "" if revenue.look is None else revenue.look.on.isoformat()
        key = (f"{book.stamp} {seen}", made_on)
        with self._lock:
            found = self._reports.get(key)
            if found is None:
                # The gateways have the other processors.
                found = facts_of(revenue, assumed, made_on=made_on, threads=1)
                self._reports[key] = found
                if len(self._reports) > REPORTS_MAX:
                    self._reports.popitem(last=False)
        # What the clerk said about the cut may be newer than the rows.
        found = msgspec.structs.replace(found, source=book.origin)
        return self._with_beside(found, revenue, wait=wait)

    def _with_beside(self, facts: BoardFacts, revenue: Revenue, *, wait: bool) -> BoardFacts:
        """With what the book holds besides revenue; each part is remembered where it is made."""
        statements, refused = self._beside.statements(wait), ""
        try:
            capacity = self._beside.capacity(revenue.largest, facts.report.exposure)
        except DataError as error:
            capacity, refused = None, error.message
        given = msgspec.structs.replace(
            facts.given,
            guidance=self._beside.guidance(),
            statements=statements,
            stated_here=statements is not None,
            capacity=capacity,
            capacity_refused=refused,
        )
        return msgspec.structs.replace(facts, given=given)

    def printed(self, page: str) -> bytes:
        """A page as PDF.

        Raises:
            UnavailableError: nothing on this machine prints.
        """
        return printed(page)

    def _load(self) -> None:
        try:
            self._engine()
        finally:
            self._loaded.set()  # an engine that does not load says so again in the report


def board_of(var: Path, *, sample: bool, beside: Beside = NOTHING_BESIDE) -> ShownBoard:
    """The port over the sample, or over the live book of a data folder."""
    if sample:
        return ShownBoard(sample_shown, beside=beside)
    return ShownBoard(lambda: live_shown(var), look=lambda: last_look(var), beside=beside)


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
    return fan_of(revenue.rows, revenue.largest, revenue.owed) if revenue.rows else None


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


def _named_look(look: WarningLook, names: Mapping[str, str]) -> WarningLook:
    """With the names that the report uses."""
    customers = tuple(
        msgspec.structs.replace(one, name=names.get(one.customer, one.name))
        for one in look.customers
    )
    return msgspec.structs.replace(look, customers=customers)


def _named_history(history: ShareHistory, names: Mapping[str, str]) -> ShareHistory:
    points = tuple(
        msgspec.structs.replace(point, group=names.get(point.group, point.group))
        for point in history.points
    )
    return msgspec.structs.replace(history, points=points)
