"""Read a scenario: claims with their sources, parties and denominators, and a recipe for a book."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import msgspec

from quartermaster.exposure.claims import (
    Claim,
    Metric,
    Party,
    Scope,
    Source,
    annual_factor,
    factors,
    meant,
    parse_unit,
    stated,
)
from quartermaster.exposure.csv_rows import read_bytes
from quartermaster.exposure.hedges import HEDGES, Hedge
from quartermaster.exposure.months import month_number, span
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.toml import parse_toml
from quartermaster.stats.interval import Interval

SCENARIO_BYTES_MAX = 1024 * 1024
"""A thousand claims of a kilobyte; a person writes and reviews the file."""
FILLED_CUSTOMERS_MAX = 1_000
"""More invented customers say nothing more, and a report must list them."""
_DAY = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?", re.ASCII)
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


class Fill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How customers that the sources do not name are made up: a stated, seeded distribution.

    Weights are rank ** -exponent times a log-normal of standard deviation `jitter`, cut at two.
    """

    name: str
    customers: int
    exponent: str
    jitter: str
    words: str
    words_de: str = ""


class BookRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A revenue book made from claims: one total, the payments that are named, and a fill."""

    as_of: str
    total: str
    payments: tuple[str, ...]
    fill: Fill


class Scenario(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    dict=True,
    rename={
        "sources": "source",
        "parties": "party",
        "scopes": "scope",
        "metrics": "metric",
        "claims": "claim",
        "own_hedges": "hedge",
    },
):
    """A claims file. Everything refers to everything else by id."""

    schema: Literal["quartermaster.scenario/1"]
    id: str
    title: str
    as_of: str
    sources: tuple[Source, ...]
    claims: tuple[Claim, ...]
    seed: int = 0
    sample: bool = False
    note: str = ""
    note_de: str = ""
    parties: tuple[Party, ...] = ()
    scopes: tuple[Scope, ...] = ()
    metrics: tuple[Metric, ...] = ()
    own_hedges: tuple[Hedge, ...] = ()
    book: BookRecipe | None = None

    @cached_property
    def hedges(self) -> Mapping[str, Hedge]:
        """Built-in words, then the file's own, which win."""
        return {hedge.word: hedge for hedge in HEDGES + self.own_hedges}

    @cached_property
    def claim_by_id(self) -> Mapping[str, Claim]:
        """Claims by id."""
        return {claim.id: claim for claim in self.claims}

    @cached_property
    def source_by_id(self) -> Mapping[str, Source]:
        """Sources by id."""
        return {source.id: source for source in self.sources}

    @cached_property
    def scope_by_id(self) -> Mapping[str, Scope]:
        """Denominators by id."""
        return {scope.id: scope for scope in self.scopes}

    @cached_property
    def party_by_id(self) -> Mapping[str, Party]:
        """Parties by id."""
        return {party.id: party for party in self.parties}

    def group_of(self, party: str) -> str:
        """Who controls the party: its group, or itself."""
        return self.party_by_id[party].group or party

    def around(self, scope: str) -> tuple[str, ...]:
        """The scope and every scope that contains it, smallest first."""
        found: list[str] = []
        while scope and scope not in found:
            found.append(scope)
            scope = self.scope_by_id[scope].part_of
        return tuple(found)

    def readings(self, scope: str) -> tuple[str, ...]:
        """What the wording may mean: itself, unless it lists readings."""
        return self.scope_by_id[scope].may_mean or (scope,)

    def meant(self, claim: Claim) -> Interval:
        """The claim's figure with its hedge; percentages as fractions of one."""
        return meant(claim, self.hedges)

    def annual(self, claim: Claim) -> Interval:
        """A claim of money as money a year, with its hedge."""
        return self.meant(claim).scaled(annual_factor(claim))

    def annual_stated(self, claim: Claim) -> Fraction:
        """The middle of a claim of money as money a year, as stated."""
        return stated(claim).middle * annual_factor(claim)


def read_scenario(path: Path) -> tuple[Scenario, bytes]:
    """The scenario in a TOML file, and the file's bytes for its hash.

    Raises:
        DataError: names the file, the place and every reason.
    """
    data = read_bytes(path, SCENARIO_BYTES_MAX)
    return parse_scenario(data, path.name), data


def parse_scenario(data: bytes, name: str) -> Scenario:
    """The scenario in these bytes, checked.

    Raises:
        DataError: not TOML, an unknown or missing field, or ids and figures that do not fit.
    """
    try:
        scenario = msgspec.convert(parse_toml(data, name), Scenario)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{name}: {error}",
            hint='a scenario says schema = "quartermaster.scenario/1"; other files are not one',
        ) from error
    problems = list(_problems(scenario))
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        count = "1 entry" if len(problems) == 1 else f"{len(problems)} entries"
        raise DataError(
            f"{name}: {count} cannot be used{listed}",
            hint="an entry is named by its id; mend these, nothing was read",
        )
    return scenario


def _problems(scenario: Scenario) -> Iterator[str]:
    for kind, ids in (
        ("source", [source.id for source in scenario.sources]),
        ("party", [party.id for party in scenario.parties]),
        ("scope", [scope.id for scope in scenario.scopes]),
        ("metric", [metric.id for metric in scenario.metrics]),
        ("claim", [claim.id for claim in scenario.claims]),
    ):
        yield from _bad_ids(kind, ids)
    for hedge in scenario.own_hedges:
        yield from _said(f"hedge {hedge.word!r}", partial(factors, hedge))
    for version in (version for metric in scenario.metrics for version in metric.versions):
        if version.until:
            yield from _said(f"metric version {version.id!r}", partial(_check_day, version.until))
    for party in scenario.parties:
        yield from _unknown(f"party {party.id!r}", "group", party.group, scenario.party_by_id)
    for scope in scenario.scopes:
        for other in (scope.part_of, *scope.may_mean):
            yield from _unknown(f"scope {scope.id!r}", "scope", other, scenario.scope_by_id)
    for claim in scenario.claims:
        yield from _claim_problems(scenario, claim)
    if scenario.book is not None:
        yield from _book_problems(scenario, scenario.book)


def _bad_ids(kind: str, ids: Iterable[str]) -> Iterator[str]:
    for identity, times in Counter(ids).items():
        if times > 1:
            yield f"{kind} {identity!r} is there {times} times"
        if _ID.fullmatch(identity) is None:
            yield f"{kind} {identity!r}: an id is lower-case letters, digits, - and _"


def _unknown(where: str, kind: str, identity: str, known: Mapping[str, object]) -> Iterator[str]:
    if identity and identity not in known:
        yield f"{where}: unknown {kind} {identity!r}"


def _claim_problems(scenario: Scenario, claim: Claim) -> Iterator[str]:
    where = f"claim {claim.id!r}"
    metrics = {metric.id: metric for metric in scenario.metrics}
    yield from _unknown(where, "source", claim.source, scenario.source_by_id)
    yield from _unknown(where, "subject", claim.subject, scenario.party_by_id)
    yield from _unknown(where, "scope", claim.scope, scenario.scope_by_id)
    yield from _unknown(where, "denominator", claim.denominator, scenario.scope_by_id)
    yield from _unknown(where, "metric", claim.metric, metrics)
    if claim.metric in metrics and claim.metric_version:
        versions = {version.id: version for version in metrics[claim.metric].versions}
        yield from _unknown(where, "metric version", claim.metric_version, versions)
    if claim.compares is not None:
        for side in (claim.compares.left, claim.compares.right):
            yield from _unknown(where, "claim", side, scenario.claim_by_id)
            other = scenario.claim_by_id.get(side)
            if other is not None and not other.has_figure:
                yield f"{where}: compares {side!r}, which states no figure"
    if _DAY.fullmatch(claim.as_of) is None:
        yield f"{where}: as_of {claim.as_of!r} is not a date such as 2024-03 or 2024-03-31"
    if claim.has_figure:
        yield from _said(where, partial(_check_figure, scenario, claim))
        needed = _NEEDED[claim.measure]
        yield from (f"{where}: {field} is missing" for field in needed if not getattr(claim, field))


_NEEDED: dict[str, tuple[str, ...]] = {
    "revenue": ("scope", "period"),
    "share": ("subject", "denominator", "period"),
    "growth": ("metric", "metric_version", "basis", "period"),
    "amount": (),
}


def _check_figure(scenario: Scenario, claim: Claim) -> None:
    unit = parse_unit(claim.unit)
    figure = scenario.meant(claim)
    if claim.period:
        span(claim.period)
    if claim.measure == "revenue":
        if not unit.currency or figure.low <= 0:
            raise UsageError("revenue is a positive amount of money")
        if not claim.period:
            raise UsageError("period is missing")
    if claim.measure == "share" and (unit.currency or not 0 <= figure.low <= figure.high <= 1):
        raise UsageError("a share is in % and lies between 0 and 100")
    if claim.measure == "growth" and unit.currency:
        raise UsageError("growth is in %")


def _said(where: str, check: Callable[[], object]) -> Iterator[str]:
    """What the check complains about, if it does."""
    try:
        check()
    except UsageError as error:
        yield f"{where}: {error.message}" + (f" ({error.hint})" if error.hint else "")


def _check_day(text: str) -> None:
    try:
        found = date.fromisoformat(text).isoformat() == text
    except ValueError:
        found = False
    if not found:
        raise UsageError(f"until {text[:40]!r} is not a day", hint="write it as 2024-08-21")


def _book_problems(scenario: Scenario, book: BookRecipe) -> Iterator[str]:
    yield from _said("book", partial(month_number, book.as_of))
    if not 1 <= book.fill.customers <= FILLED_CUSTOMERS_MAX:
        yield f"book: fill.customers is not between 1 and {FILLED_CUSTOMERS_MAX}"
    for identity in (book.total, *book.payments):
        claim = scenario.claim_by_id.get(identity)
        if claim is None or claim.measure != "revenue":
            yield f"book: {identity!r} is not a revenue claim"
        elif (not claim.subject) != (identity == book.total):
            yield f"book: {identity!r} must {'not ' if identity == book.total else ''}name a payer"
