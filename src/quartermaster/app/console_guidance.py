"""Recorded guidance for the overview: every promise with its verdict, and the band of the run-rate.

The run-rate of the overview is what was metered, as reported. A promise on another basis or of
another version of the metric is drawn, and not compared.
"""

import re
from decimal import Decimal
from typing import Final, get_args

from quartermaster.commands.guidance import recorded
from quartermaster.commands.ports import Book
from quartermaster.console import ports
from quartermaster.console.format import LANGS
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.money import exponent
from quartermaster.revenue.guidance import Figure, differences
from quartermaster.revenue.run_rate import Method
from quartermaster.revenue.scorecard import Entry, Scorecard, scorecard

RUN_RATE: Final = f"run_rate_{get_args(Method)[0]}"
"""The metric of promises that the overview draws: of one month, in the book's currency."""
VERSION: Final = "1"
"""Of the metric as the overview computes it."""
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def recorded_guidance(book: Book) -> Scorecard | None:
    """Verdicts on the guidance that is recorded, or None where none is."""
    found = recorded(book.view())
    return scorecard(found) if found else None


def band_of(card: Scorecard | None, currency: str) -> ports.Guidance | None:
    """The newest promise of a run-rate, or None where none was made."""
    entries = () if card is None else card.entries
    promised = [entry for entry in entries if _is_run_rate(entry, currency)]
    if not promised:
        return None
    newest = max(promised, key=lambda one: (one.promise.guidance.issued_on, _period(one)))
    said = newest.promise.guidance
    ours = Figure(
        metric=RUN_RATE, unit=currency, period=_period(newest), basis="reported",
        metric_version=VERSION,
    )  # fmt: skip
    scale = exponent(currency)
    basis = {lang: catalogue("guidance", lang)(f"bases.{said.figure.basis}") for lang in LANGS}
    day = ports.day_or_none(said.issued_on)
    return ports.Guidance(
        first=_period(newest),
        last=_period(newest),
        low_minor=int(Decimal(said.low).scaleb(scale)),
        high_minor=int(Decimal(said.high).scaleb(scale)),
        basis=ports.Bilingual(**basis),
        said_by=said.source if day or not said.issued_on else f"{said.source}, {said.issued_on}",
        said_on=day,
        reasons=differences(said.figure, ours),
    )


def _is_run_rate(entry: Entry, currency: str) -> bool:
    figure = entry.promise.guidance.figure
    known = (figure.metric, figure.unit) == (RUN_RATE, currency)
    return known and _MONTH.fullmatch(figure.period) is not None


def _period(entry: Entry) -> str:
    return entry.promise.guidance.figure.period
