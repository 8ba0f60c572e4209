"""The what-if page's port: one change to the shown book, computed once a question.

The simulation is the one that `quartermaster what-if` runs (`exposure/risk_levers.py`), with the
same changes (`exposure/risk_changes.py`), scenarios and seed, so both show the same figures.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from quartermaster.app.console_book import ShownBook, book_terms, live_shown, sample_shown
from quartermaster.app.console_capacity import ShownCapacity
from quartermaster.app.console_exposure import CHOICES_MAX, SAMPLE_HAZARD, load_engine
from quartermaster.app.console_fan import closed_rows
from quartermaster.app.console_loss import ENGINE_PACKAGES, SCENARIOS, SEED
from quartermaster.app.owed import bound
from quartermaster.console import ports_what_if as ports
from quartermaster.console.what_if_state import OWED_MONTHS, SIZE_USUAL, filled
from quartermaster.exposure.departure_bridge import Bridge, bridge
from quartermaster.exposure.risk_assumptions import (
    Assumptions,
    Backfill,
    CustomerTerms,
    Departure,
    Hazards,
    refusal_of,
)
from quartermaster.exposure.rollup import Exposure, measure
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import CallerError, UnavailableError, UsageError
from quartermaster.kernel.money import exponent

if TYPE_CHECKING:
    from quartermaster.exposure.risk_book import Payer
    from quartermaster.exposure.risk_levers import Change, Effect, WhatIf

ANSWERS_MAX = 64
"""Answers kept in memory, some 30 kB each: every question that a meeting asks of one book."""
FULL_STEPS_MAX = 60_000_000
"""Customer-months of scenarios simulated one by one: a page simulates some twenty worlds, each a
quarter of a second at that size on one thread. Larger books pool their small customers."""

COST_NAMES: Mapping[str, ports.Priced] = {
    "commit-50%-24": "commit_half",
    "commit-80%-12": "commit_most",
    "ramp": "ramp",
    "notice": "notice",
    "hazard": "hazard",
    "backfill": "backfill",
    "diversify": "diversify",
}
"""Names of the tornado's levers, as an address can hold them."""

Source = Callable[[], ShownBook | None]
Stranding = Callable[[ShownBook, str, Bridge], ports.StrandedFacts | None]
"""What a departure of a group leaves without use, where the capacity is known."""


class ShownWhatIf:
    """The port over a book that may change between two calls."""

    def __init__(
        self,
        source: Source,
        stranding: Stranding,
        *,
        engine: Callable[[], None] = load_engine,
    ) -> None:
        self._source, self._stranding, self._engine = source, stranding, engine
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, ports.WhatIfQuestion], ports.WhatIfFacts] = (
            OrderedDict()
        )
        self._loaded = threading.Event()
        self._loader: threading.Thread | None = None

    def what_if(
        self, question: ports.WhatIfQuestion, now: Instant, *, wait: bool = False
    ) -> ports.WhatIfFacts | None:
        """The facts, from memory where the same was asked of the same rows.

        The first call begins to load the simulation; until that is done, answers come without
        figures, unless the caller waits.

        Raises:
            UsageError: see `answer`.
        """
        del now  # the book says up to when it knows
        book = self._source()
        if book is None:
            return None
        key = (book.stamp, question)
        with self._lock:
            if self._loader is None:
                self._loader = threading.Thread(target=self._load, daemon=True)
                self._loader.start()
        if wait:
            self._loaded.wait()
        elif not self._loaded.is_set():
            return answer(book, question, self._stranding, simulate=False)
        with self._lock:
            found = self._answers.get(key)
            if found is None:
                found = answer(book, question, self._stranding)
                self._answers[key] = found
                if len(self._answers) > ANSWERS_MAX:
                    self._answers.popitem(last=False)
            self._answers.move_to_end(key)
        # What the clerk said about the cut may be newer than the rows.
        return msgspec.structs.replace(found, origin=book.origin)

    def _load(self) -> None:
        try:
            self._engine()
        finally:
            self._loaded.set()  # an engine that does not load says so again on the page


def what_if_of(
    var: Path, capacity: ShownCapacity, now: Callable[[], Instant], *, sample: bool
) -> ShownWhatIf:
    """Of the sample book or the real one, with what its departures leave unused."""

    def stranding(book: ShownBook, group: str, steps: Bridge) -> ports.StrandedFacts | None:
        return capacity.stranded(book, group, steps, now())

    return ShownWhatIf(sample_shown if sample else lambda: live_shown(var), stranding)


def answer(
    book: ShownBook,
    question: ports.WhatIfQuestion,
    stranding: Stranding,
    *,
    simulate: bool = True,
) -> ports.WhatIfFacts:
    """Everything the page shows; without figures where nothing is to be simulated.

    Raises:
        UsageError: the customer is not one of the largest of this book, or the size is none.
    """
    closed = closed_rows(book.rows, book.open_from)
    rows = closed or book.rows
    exposure = measure(rows, scope=book.denominator.en, scope_de=book.denominator.de)
    asked = asked_of(book, exposure, question)
    denominator = exposure.denominator
    blank = ports.WhatIfFacts(
        sample=book.sample,
        currency=denominator.currency,
        first=denominator.first,
        last=denominator.last,
        still_open=not closed,
        denominator=book.denominator,
        origin=book.origin,
        data_sha256=exposure.data_sha256,
        choices=tuple((group, book.names.get(group, group)) for group in _choices(exposure)),
        asked=asked,
        missing=None,
        reason="",
    )
    if not simulate:
        return msgspec.structs.replace(blank, missing="loading")
    try:
        return _simulated(blank, book, exposure, stranding)
    except UnavailableError as error:
        return msgspec.structs.replace(blank, missing="not_installed", reason=error.hint)
    except UsageError as error:
        if error.field in {"size", "customer"}:
            raise
        return msgspec.structs.replace(blank, missing="refused", reason=refusal_of(error))


def asked_of(
    book: ShownBook, exposure: Exposure, question: ports.WhatIfQuestion
) -> ports.WhatIfAsked:
    """The question with everything filled in that it left open.

    Raises:
        UsageError: the customer is not one of the largest.
    """
    choices = _choices(exposure)
    customer = question.customer or choices[0]
    if customer not in choices or (question.lever == "diversify" and customer != choices[0]):
        raise UsageError(
            f"customer: {customer!r} cannot be asked about here",
            hint="diversify is about the largest customer; else choose one of the list",
            field="customer",
        )
    size = question.size
    if size is None:
        size = SIZE_USUAL.get(question.lever)
    if size is None and question.lever == "diversify":
        size = statistic(exposure.groups[0].minor / exposure.denominator.minor / 2)
        size = size.quantize(Decimal("0.001"))
    shipped = statistic(Hazards().rest)
    hazard = SAMPLE_HAZARD if book.sample else shipped
    own = {one.group: one for one in book_terms(book, exposure)}
    agreed = own.get(customer, CustomerTerms(group=customer))
    owed, owed_months = question.owed, question.owed_months
    return ports.WhatIfAsked(
        question=filled(question, customer=customer, size=size),
        name=book.names.get(customer, customer),
        hazard=hazard if question.hazard is None else question.hazard,
        others=shipped if question.others is None else question.others,
        owed=Decimal(agreed.commitment_per_month) if owed is None else owed,
        owed_months=min(agreed.commitment_months, int(OWED_MONTHS.high))
        if owed_months is None
        else owed_months,
        chosen=question.hazard is not None or question.others is not None,
    )


def assumptions_of(
    asked: ports.WhatIfAsked, *, largest: bool, terms: Iterable[CustomerTerms] = ()
) -> Assumptions:
    """What the page assumes, as the command line's options would say it.

    Args:
        asked: what the address says, and the rest as the book says it.
        largest: whether it asks about the largest customer.
        terms: what contracts of the book oblige the others to.
    """
    question, hazard, others = asked.question, float(asked.hazard), float(asked.others)
    customer = CustomerTerms(
        group=question.customer,
        hazard_per_year=None if largest else hazard,
        commitment_per_month=f"{asked.owed:f}",
        commitment_months=asked.owed_months,
    )
    plain = CustomerTerms(group=question.customer)
    own = Assumptions(
        horizon_months=question.horizon_months,
        quantile=float(question.quantile),
        hazard_per_year=Hazards(top=hazard if largest else others, rest=others),
        departure=Departure(notice_months=float(question.notice), ramp_months=float(question.ramp)),
        backfill=Backfill(share=float(question.backfill)),
        customer=() if customer == plain else (customer,),
    )
    return bound(own, (one for one in terms if one.group != question.customer))


def statistic(value: float) -> Decimal:
    """A statistic for the formatter; twelve digits are more than any of them is good for."""
    return Decimal(f"{value:.12g}")


def _choices(exposure: Exposure) -> list[str]:
    return [group.group for group in exposure.groups[:CHOICES_MAX]]


def _simulated(
    blank: ports.WhatIfFacts, book: ShownBook, exposure: Exposure, stranding: Stranding
) -> ports.WhatIfFacts:
    missing = [name for name in ENGINE_PACKAGES if find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"simulation needs {', '.join(missing)}, not installed here",
            hint="pip install 'quartermaster-ai[risk]'",
        )
    # Only here: loading the compiled loops takes seconds, and they may not be installed.
    from quartermaster.exposure.risk_book import payers_of
    from quartermaster.exposure.risk_changes import usual
    from quartermaster.exposure.risk_levers import LOSS_LEVELS, what_if
    from quartermaster.exposure.simulate import Run

    asked, payers = blank.asked, payers_of(exposure)
    question = asked.question
    largest, terms = exposure.groups[0].group, book_terms(book, exposure)
    assumptions = assumptions_of(asked, largest=question.customer == largest, terms=terms)
    change = change_of(question, payers)
    costs = dict(question.costs)
    levers = [
        msgspec.structs.replace(one, cost=float(costs[COST_NAMES[one.name]]))
        if COST_NAMES[one.name] in costs
        else one
        for one in usual(payers, assumptions, question.customer)
    ]
    steps = len(payers) * question.horizon_months * SCENARIOS
    engine: Literal["full", "reduced"] = "full" if steps <= FULL_STEPS_MAX else "reduced"
    run = Run(scenarios=SCENARIOS, seed=SEED, threads=1)
    found = what_if(payers, assumptions, run, [change, *levers], engine=engine)
    lay = _Facts(found, book.names, blank.currency)
    steps_of = None
    if question.lever == "leave":
        amounts = [(payer.name, payer.per_month) for payer in payers]
        steps_of = bridge(
            amounts,
            assumptions,
            question.customer,
            month=question.month,
            suspended=question.suspend,
        )
    return msgspec.structs.replace(
        blank,
        top_name=book.names.get(found.top, found.top),
        top_hazard=statistic(found.top_hazard_per_year),
        equal_hazard=statistic(found.equal_hazard_per_year),
        plan_minor=lay.minor(found.plan),
        scenarios=found.scenarios,
        seed=found.seed,
        engine=found.engine,
        pooled=found.pooled,
        levels=LOSS_LEVELS,
        base=lay.world(found.base),
        change=next(lay.world(one) for one in found.effects if one.change is change),
        tornado=tuple(lay.world(one) for one in found.effects if one.change is not change),
        bridge=None if steps_of is None else bridge_facts(steps_of, blank.currency),
        **_stranded(book, question.customer, steps_of, stranding),
    )


def _stranded(
    book: ShownBook, customer: str, steps: Bridge | None, stranding: Stranding
) -> dict[str, Any]:
    """What is stranded; a fleet document that cannot be used is said, and takes nothing else."""
    if steps is None:
        return {}
    try:
        return {"stranded": stranding(book, customer, steps)}
    except CallerError as error:
        return {"stranded_reason": error.message}


def change_of(question: ports.WhatIfQuestion, payers: "list[Payer]") -> "Change":
    """The lever of the address as the change that the engine knows.

    Raises:
        UsageError: a size that the lever cannot have.
    """
    from quartermaster.exposure import risk_changes as changes

    who, size = question.customer, float(question.size or 0)
    if question.lever == "leave":
        return changes.leaving(who, question.month, suspended=question.suspend)
    if question.lever == "cut":
        return changes.cutting(who, size, question.month)
    if question.lever == "price":
        whose = "" if question.everybody else who
        return changes.priced(whose, size, question.month, float(question.elasticity))
    if question.lever == "commit":
        return changes.committing(
            payers, question.horizon_months, who, size, question.until, float(question.discount)
        )
    return changes.diversified(payers, who, size)


def bridge_facts(found: Bridge, currency: str) -> ports.BridgeFacts:
    """The steps in minor units; what rounding leaves over is in the customer's own step."""
    units = int(10 ** exponent(currency))

    def minor(value: float) -> int:
        return round(value * units)

    soon, kept = minor(found.before_leaving), minor(found.kept)
    commitment, backfill = minor(found.commitment), minor(found.backfill)
    before, after = minor(found.before), minor(found.after)
    return ports.BridgeFacts(
        months=found.months,
        before_minor=before,
        customer_minor=before + soon + kept + commitment + backfill - after,
        before_leaving_minor=soon,
        kept_minor=kept,
        commitment_minor=commitment,
        backfill_minor=backfill,
        after_minor=after,
    )


class _Facts:
    """Effects in minor units, with names of customers for ids."""

    def __init__(self, found: "WhatIf", names: Mapping[str, str], currency: str) -> None:
        self._found, self._names = found, names
        self._units = int(10 ** exponent(currency))

    def minor(self, value: float) -> int:
        """Major units as minor ones."""
        return round(value * self._units)

    def world(self, effect: "Effect") -> ports.WorldFacts:
        """One world."""
        change, minor = effect.change, self.minor
        return ports.WorldFacts(
            key=change.key,
            name=COST_NAMES.get(change.name, change.name),
            who=self._names.get(change.who, change.who),
            figures={name: statistic(value) for name, value in change.figures.items()},
            expected_minor=minor(effect.expected_loss.value),
            expected_error_minor=minor(effect.expected_loss.standard_error),
            value_at_risk_minor=minor(effect.value_at_risk),
            shortfall_minor=minor(effect.expected_shortfall.value),
            shortfall_error_minor=minor(effect.expected_shortfall.standard_error),
            expected_moved_minor=minor(effect.expected_loss_difference.value),
            expected_moved_error_minor=minor(effect.expected_loss_difference.standard_error),
            shortfall_moved_minor=minor(effect.shortfall_difference.value),
            shortfall_moved_error_minor=minor(effect.shortfall_difference.standard_error),
            top_share=statistic(effect.top_shortfall_share),
            top_share_at_equal_hazard=statistic(effect.top_shortfall_share_at_equal_hazard),
            cost_minor=None if change.cost is None else minor(change.cost),
            cut_per_cost=None
            if effect.shortfall_cut_per_cost is None
            else statistic(effect.shortfall_cut_per_cost),
            losses=tuple(minor(loss) for loss in effect.loss_quantiles),
        )
