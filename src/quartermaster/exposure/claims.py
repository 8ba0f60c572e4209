"""Claims: figures that somebody said, each with unit, period, denominator, basis and source.

A claim is not a fact of our books. It keeps the words it came in, who said it, and how sure that
is; everything the product derives from claims names them.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Literal, NamedTuple

import msgspec

from quartermaster.exposure.hedges import Hedge
from quartermaster.exposure.months import MONTHS_A_YEAR, Span, span
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import exponent
from quartermaster.stats.interval import Interval

Measure = Literal["statement", "revenue", "share", "growth", "amount"]
"""`statement` has no figure; `amount` has one that nothing here can recompute."""
Basis = Literal["", "reported", "constant_currency"]
Role = Literal["actual", "guidance"]
TimeWord = Literal["as_of", "until"]
"""`as_of`: observed then, and nothing about afterwards. `until`: it ended then."""
Confidence = Literal["high", "medium", "low"]
Relation = Literal["below", "within", "above"]

# 15 digits hold any revenue on earth in any currency; more would be a typing error.
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", re.ASCII)
_MONEY_UNIT = re.compile(r"([A-Z]{3})(?:/(month|quarter|year))?", re.ASCII)
_TIMES_A_YEAR = {"month": 12, "quarter": 4, "year": 1}
_PERCENT = "%"


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where claims were read. `distance` counts retellings: 0 is the party itself."""

    id: str
    publisher: str
    title: str
    date: str
    distance: int
    address: str = ""
    note: str = ""


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who appears. Entities of one `group` are under common control: one customer."""

    id: str
    name: str
    kind: Literal["group", "entity", "seller", "supplier"]
    group: str = ""


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose revenue: a denominator. `may_mean` lists the readings of an ambiguous wording."""

    id: str
    words: str
    words_de: str = ""
    part_of: str = ""
    may_mean: tuple[str, ...] = ()

    def said(self, lang: str) -> str:
        """The words in that language, where there are any."""
        return self.words_de or self.words if lang == "de" else self.words


class MetricVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A definition of a metric and the day after which it no longer holds."""

    id: str
    words: str
    until: str = ""
    """Day, `YYYY-MM-DD`."""
    source: str = ""


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A published measure whose definition may change."""

    id: str
    words: str
    versions: tuple[MetricVersion, ...]


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A comparison that somebody makes in words: `left` is `relation` `right`."""

    left: str
    relation: Relation
    right: str


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing somebody said. Figures are decimal strings, so that 0.1 is 0.1."""

    id: str
    statement: str
    said_by: str
    source: str
    as_of: str
    confidence: Confidence
    measure: Measure = "statement"
    value: str = ""
    low: str = ""
    high: str = ""
    hedge: str = "exactly"
    unit: str = ""
    period: str = ""
    """Months the figure is about: `2024-03` or `2023-07/2024-06`."""
    time: TimeWord = "as_of"
    subject: str = ""
    """Party that pays, for revenue and shares; empty means everybody."""
    scope: str = ""
    """Whose revenue the money is."""
    denominator: str = ""
    """Scope that a share is a share of."""
    metric: str = ""
    metric_version: str = ""
    basis: Basis = ""
    role: Role = "actual"
    compares: Comparison | None = None

    @property
    def has_figure(self) -> bool:
        """Whether it states a number."""
        return self.measure != "statement"

    @property
    def span(self) -> Span:
        """The months the figure is about."""
        return span(self.period)


class Unit(NamedTuple):
    """A parsed unit: a currency (empty for %) and how many times a year it is paid."""

    currency: str
    times_a_year: int | None
    """None for an amount over the claim's own period."""


def parse_unit(text: str) -> Unit:
    """`%`, `USD`, `USD/month`, `USD/quarter` or `USD/year`.

    Raises:
        UsageError: anything else.
    """
    if text == _PERCENT:
        return Unit("", None)
    match = _MONEY_UNIT.fullmatch(text)
    if match is None:
        raise UsageError(f"unit {text!r} is unknown", hint="write %, USD, USD/month or USD/year")
    exponent(match[1])
    return Unit(match[1], _TIMES_A_YEAR[match[2]] if match[2] else None)


def stated(claim: Claim) -> Interval:
    """The figure as written, without its hedge; percentages as fractions of one.

    Raises:
        UsageError: no figure, half a range, or not a plain decimal.
    """
    low, high = (claim.value, claim.value) if claim.value else (claim.low, claim.high)
    if not low or not high or (claim.value and (claim.low or claim.high)):
        raise UsageError("a figure is either a value, or a low and a high")
    scale = Fraction(1, 100) if claim.unit == _PERCENT else Fraction(1)
    return Interval(_decimal(low) * scale, _decimal(high) * scale)


def meant(claim: Claim, hedges: Mapping[str, Hedge]) -> Interval:
    """The figure with everything its hedging word allows.

    Raises:
        UsageError: see `stated`, or an unknown hedge.
    """
    hedge = hedges.get(claim.hedge)
    if hedge is None:
        raise UsageError(
            f"the hedge {claim.hedge!r} has no meaning here",
            hint=f"known: {', '.join(sorted(hedges))}; add others with [[hedge]]",
        )
    return stated(claim).times(factors(hedge))


def factors(hedge: Hedge) -> Interval:
    """What the word allows, as factors of the stated figure.

    Raises:
        UsageError: not plain decimals, or running backwards.
    """
    return Interval(_decimal(hedge.low), _decimal(hedge.high))


def annual_factor(claim: Claim) -> Fraction:
    """What turns the claim's money into money a year: monthly x 12, a half year's sum x 2.

    Raises:
        UsageError: not money, or no period to spread it over.
    """
    unit = parse_unit(claim.unit)
    if not unit.currency:
        raise UsageError(f"{claim.id} is not an amount of money")
    if unit.times_a_year is not None:
        return Fraction(unit.times_a_year)
    return Fraction(MONTHS_A_YEAR, claim.span.months)


def _decimal(text: str) -> Fraction:
    if _DECIMAL.fullmatch(text) is None:
        raise UsageError(f"{text[:40]!r} is not a plain decimal such as 0.25")
    return Fraction(text)
