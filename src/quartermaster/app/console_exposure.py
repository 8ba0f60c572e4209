"""The exposure page's port: shares, loss and forecast of the shown book, computed once a question.

A book that has not changed answers the same question from memory: the key is the hash of its rows
and the question. One question is computed at a time, on one thread: the gateways have the others.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from quartermaster.app.console_book import ShownBook, book_terms, live_shown, sample_shown
from quartermaster.app.console_fan import MONTHS_MIN, closed_rows, fan_of
from quartermaster.app.console_loss import loss_of
from quartermaster.console import ports_exposure as ports
from quartermaster.exposure.bands import BandRules, assess
from quartermaster.exposure.concentration import lorenz
from quartermaster.exposure.history import share_history
from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.risk_assumptions import Hazards, refusal_of
from quartermaster.exposure.rollup import Exposure, measure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UnavailableError, UsageError
from quartermaster.kernel.money import EXACT

ANSWERS_MAX = 64
"""Answers kept in memory, some 50 kB each: every question that a meeting asks of one book."""
CHOICES_MAX = 30
"""Customers that can be asked about: a list that is still read, and fewer than the reduced engine
simulates one by one, so that each of them has a part of its own."""
HISTORY_WINDOWS_MAX = 37
"""Three years of months on the page, each with an interval that is drawn again for it; the report
of the command line has ten."""
SAMPLE_HAZARD = Decimal("0.35")
"""What the sample supposes of its largest customer: an illustration of a customer who may leave,
measured by nobody. A real book starts from one rate for all."""

Source = Callable[[], ShownBook | None]


def load_engine() -> None:
    """Load the simulation and run it once: 5 seconds, and 20 where its loops are compiled first."""
    answer(sample_shown(), ports.Question())


class ShownExposure:
    """The port over a book that may change between two calls."""

    def __init__(self, source: Source, *, engine: Callable[[], None] = load_engine) -> None:
        self._source, self._engine = source, engine
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, ports.Question], ports.ExposureFacts] = OrderedDict()
        self._loaded = threading.Event()
        self._loader: threading.Thread | None = None

    def exposure(
        self, question: ports.Question, now: Instant, *, wait: bool = False
    ) -> ports.ExposureFacts | None:
        """The facts, from memory where the same was asked of the same rows.

        The first call begins to load the simulation; until that is done, answers leave the loss
        out, unless the caller waits.

        Raises:
            UsageError: the customer is not one of the largest of this book.
        """
        del now  # the book says up to when it knows
        book = self._source()
        if book is None:
            return None
        # Which months are over is no part of the rows.
        key = (book.stamp, question)
        with self._lock:
            if self._loader is None:
                self._loader = threading.Thread(target=self._load, daemon=True)
                self._loader.start()
        if wait:
            self._loaded.wait()
        elif not self._loaded.is_set():
            return answer(book, question, simulate=False)
        with self._lock:
            found = self._answers.get(key)
            if found is None:
                found = answer(book, question)
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


def sample_exposure() -> ShownExposure:
    """Of the sample book."""
    return ShownExposure(sample_shown)


def live_exposure(var: Path) -> ShownExposure:
    """Of the real book."""
    return ShownExposure(lambda: live_shown(var))


def answer(
    book: ShownBook, question: ports.Question, *, simulate: bool = True
) -> ports.ExposureFacts:
    """Everything the page shows; without the loss where nothing is to be simulated.

    Raises:
        UsageError: the customer is not one of the largest of this book.
    """
    rows = closed_rows(book.rows, book.open_from)
    still_open = not rows
    rows = rows or book.rows
    exposure = measure(rows, scope=book.denominator.en, scope_de=book.denominator.de)
    asked = _asked(book, exposure, question)
    loss, missing, reason = _loss(exposure, asked, book) if simulate else (None, "loading", "")
    # A month that has begun is no month to forecast from.
    fan = None if still_open else fan_of(rows, asked.customer, book.owed)
    denominator = exposure.denominator
    return ports.ExposureFacts(
        sample=book.sample,
        currency=denominator.currency,
        first=denominator.first,
        last=denominator.last,
        still_open=still_open,
        denominator=book.denominator,
        origin=book.origin,
        data_sha256=exposure.data_sha256,
        total_minor=denominator.minor,
        groups=_groups(exposure, book),
        choices=tuple((group, book.names.get(group, group)) for group in _choices(exposure)),
        gini=Decimal(str(exposure.concentration.gini)),
        effective_number=Decimal(str(exposure.concentration.effective_number)),
        lorenz=tuple(lorenz([group.minor for group in exposure.groups])),
        report_at=_exact(BandRules().edges.report_at.as_integer_ratio()),
        breach_at=_exact(BandRules().edges.breach_at.as_integer_ratio()),
        history=_history(rows, denominator.months, book),
        asked=asked,
        loss=loss,
        loss_missing=missing,
        loss_reason=reason,
        fan=fan,
        fan_months_needed=MONTHS_MIN,
        fan_months_known=0 if still_open else len({row.month for row in rows}),
    )


def _loss(
    exposure: Exposure, asked: ports.Asked, book: ShownBook
) -> tuple[ports.Loss | None, ports.LossMissing | None, str]:
    """The loss; or why there is none, and what the reader can do."""
    try:
        return loss_of(exposure, asked, book.names, book_terms(book, exposure)), None, ""
    except UnavailableError as error:
        return None, "not_installed", error.hint
    except UsageError as error:
        return None, "refused", refusal_of(error)


def _asked(book: ShownBook, exposure: Exposure, question: ports.Question) -> ports.Asked:
    choices = _choices(exposure)
    customer = question.customer or choices[0]
    if customer not in choices:
        raise UsageError(
            f"customer: {customer!r} is none of the {len(choices)} largest customers",
            hint="choose one of the list",
            field="customer",
        )
    shipped = Decimal(str(Hazards().rest))
    hazard = SAMPLE_HAZARD if book.sample else shipped
    return ports.Asked(
        customer=customer,
        name=book.names.get(customer, customer),
        hazard=hazard if question.hazard is None else question.hazard,
        others=shipped if question.others is None else question.others,
        horizon_months=question.horizon_months,
        quantile=question.quantile,
        chosen=question.hazard is not None or question.others is not None,
    )


def _choices(exposure: Exposure) -> list[str]:
    return [group.group for group in exposure.groups[:CHOICES_MAX]]


def _groups(exposure: Exposure, book: ShownBook) -> tuple[ports.GroupShare, ...]:
    total = exposure.denominator.minor
    bands = {line.group: line.ratios[0].band for line in assess(exposure, BandRules()).lines}
    found = []
    for group in exposure.groups:
        name = book.names.get(group.group, group.group)
        members = [book.names.get(member.customer, member.customer) for member in group.members]
        found.append(
            ports.GroupShare(
                group=group.group,
                name=name,
                minor=group.minor,
                share=_exact((group.minor, total)),
                band=bands.get(group.group),
                entities=tuple(member for member in members if member != name),
            )
        )
    return tuple(found)


def _history(
    rows: tuple[RevenueRow, ...], months: int, book: ShownBook
) -> ports.ShareHistory | None:
    last = max(row.month for row in rows)
    first = month_text(month_number(last) - months - HISTORY_WINDOWS_MAX + 2)
    near = tuple(row for row in rows if row.month >= first)
    found = share_history(near, months=months, last=last)
    if found is None:
        return None
    return ports.ShareHistory(
        window_months=found.window_months,
        level=Decimal(str(found.level)),
        windows=tuple(
            ports.ShareWindow(
                last=point.last,
                name=book.names.get(point.group, point.group),
                share=point.share,
                low=point.low,
                high=point.high,
            )
            for point in found.points
        ),
    )


def _exact(ratio: tuple[int, int]) -> Decimal:
    return EXACT.divide(Decimal(ratio[0]), Decimal(ratio[1]))
