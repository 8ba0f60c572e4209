"""What an exposure report says: figures with their denominators, methods, sources and hashes.

Language-neutral content; faces put it into words and figures. `as_json` is the stable form.
"""

import hashlib
from typing import Any

import msgspec

from quartermaster.exposure.claims import Claim, Source
from quartermaster.exposure.concentration import lorenz
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.rollup import Denominator, Exposure, GroupShare
from quartermaster.exposure.scenario import Scenario
from quartermaster.kernel.money import Money

SCHEMA = "quartermaster.exposure/1"
"""Changes with the meaning of any field; new fields alone do not change it."""


class Said(msgspec.Struct, frozen=True):
    """Words that come with the data; German where there are any."""

    en: str = ""
    de: str = ""

    def __call__(self, lang: str) -> str:
        """In that language."""
        return self.de or self.en if lang == "de" else self.en


class InputFile(msgspec.Struct, frozen=True):
    """The file the figures came from; hashed as it lay there."""

    name: str
    sha256: str


class RunRateLine(msgspec.Struct, frozen=True, kw_only=True):
    """A run-rate and how it was made: `last_month_x12`, `trailing_3_months_x4`, `stated`."""

    method: str
    minor: int
    currency: str
    months: tuple[str, ...]
    claim: str = ""


class Peak(msgspec.Struct, frozen=True):
    """Whether the last month stands out, so that twelve times it would overstate a year."""

    ratio: float | None
    limit: float
    is_peak: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a reader needs to check a finding."""

    title: str
    exposure: Exposure
    run_rates: tuple[RunRateLine, ...]
    peak: Peak | None = None
    input: InputFile | None = None
    seed: int | None = None
    claims: tuple[Claim, ...] = ()
    sources: tuple[Source, ...] = ()
    fill: Said = Said()
    note: Said = Said()

    @property
    def largest(self) -> GroupShare:
        """The first group of the ranking."""
        return self.exposure.groups[0]

    @property
    def reportable(self) -> tuple[GroupShare, ...]:
        """Groups with at least 10 % of the denominator."""
        return tuple(group for group in self.exposure.groups if group.reportable)

    @property
    def lorenz(self) -> list[tuple[float, float]]:
        """Points of the Lorenz curve."""
        return lorenz([group.minor for group in self.exposure.groups])


def input_file(name: str, data: bytes) -> InputFile:
    """Name and hash of a file as it was read."""
    return InputFile(name, hashlib.sha256(data).hexdigest())


def denominator_words(denominator: Denominator) -> str:
    """The denominator in words, as every share carries it."""
    if denominator.measure == "annual_rate":
        return f"annual run-rate of {denominator.scope} as of {denominator.last}"
    months = denominator.months
    if months == 1:
        return f"revenue of {denominator.scope} in {denominator.last}"
    return (
        f"revenue of {denominator.scope}, {months} months from {denominator.first}"
        f" to {denominator.last}"
    )


def used_claims(scenario: Scenario) -> tuple[tuple[Claim, ...], tuple[Source, ...]]:
    """The claims a scenario's book is made from, and all sources of the scenario's claims."""
    book = scenario.book
    wanted = (book.total, *book.payments) if book is not None else ()
    cited = {claim.source for claim in scenario.claims}
    cited |= {version.source for metric in scenario.metrics for version in metric.versions}
    sources = tuple(source for source in scenario.sources if source.id in cited)
    return tuple(scenario.claim_by_id[identity] for identity in wanted), sources


def scenario_report(scenario: Scenario, exposure: Exposure, source: InputFile | None) -> Report:
    """The report of a scenario's book: its run-rate is stated by a claim, not counted."""
    claims, sources = used_claims(scenario)
    denominator = exposure.denominator
    fill = scenario.book.fill if scenario.book is not None else None
    stated_rate = RunRateLine(
        method="stated",
        minor=denominator.minor,
        currency=denominator.currency,
        months=(denominator.last,),
        claim=claims[0].id,
    )
    return Report(
        title=scenario.title,
        exposure=exposure,
        run_rates=(stated_rate,),
        input=source,
        seed=scenario.seed,
        claims=claims,
        sources=sources,
        fill=Said(fill.words, fill.words_de) if fill is not None else Said(),
        note=Said(scenario.note, scenario.note_de),
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values, with every share's denominator beside it."""
    exposure = report.exposure
    words = denominator_words(exposure.denominator)
    indices = exposure.concentration
    return {
        "schema": SCHEMA,
        "title": report.title,
        "sample": exposure.sample,
        "filled": exposure.filled,
        "fill": report.fill.en,
        "note": report.note.en,
        "seed": report.seed,
        "input": msgspec.to_builtins(report.input),
        "data_sha256": exposure.data_sha256,
        "rows": exposure.rows,
        "denominator": {
            "words": words,
            "scope": exposure.denominator.scope,
            "measure": exposure.denominator.measure,
            "first": exposure.denominator.first,
            "last": exposure.denominator.last,
            **_amount(exposure.denominator.minor, exposure.denominator.currency),
        },
        "groups": [_group(group, words, exposure.denominator) for group in exposure.groups],
        "concentration": {
            "of": words,
            "customers": indices.count,
            "hhi_points": indices.hhi_points,
            "hhi_fraction": indices.hhi,
            "hhi_normalised_fraction": indices.hhi_normalised,
            "hhi_fraction_bounds_whatever_the_fill": exposure.hhi_bounds,
            "effective_number_of_customers": indices.effective_number,
            "largest_1_share": indices.cr1,
            "largest_4_share": indices.cr4,
            "gini": indices.gini,
        },
        "ten_percent_customers": {
            "name": f">= 10 % of {words}",
            "groups": [group.group for group in report.reportable],
        },
        "run_rates": [_run_rate(line) for line in report.run_rates],
        "peak": msgspec.to_builtins(report.peak),
        "excluded": [
            {"group": member.customer, **_amount(member.minor, exposure.denominator.currency)}
            for member in exposure.excluded
        ],
        "names_alike": [list(names) for names in exposure.alike],
        "missing_months": list(exposure.missing_months),
        "claims": [_plain(claim) for claim in report.claims],
        "sources": [_plain(source) for source in report.sources],
    }


def _group(group: GroupShare, words: str, denominator: Denominator) -> dict[str, Any]:
    low, high = group.share_low, group.share_high
    return {
        "rank": group.rank,
        "group": group.group,
        "share": group.share,
        "share_of": words,
        "share_range": None if low is None or high is None else [low, high],
        "at_least_10_percent": group.reportable,
        "filled": group.filled,
        "sample": group.sample,
        **_amount(group.minor, denominator.currency),
        "members": [
            {"customer": member.customer, **_amount(member.minor, denominator.currency)}
            for member in group.members
        ],
    }


def _run_rate(line: RunRateLine) -> dict[str, Any]:
    return {
        "method": line.method,
        "months": list(line.months),
        "claim": line.claim or None,
        "per": f"{MONTHS_A_YEAR} months",
        **_amount(line.minor, line.currency),
    }


def _amount(minor: int, currency: str) -> dict[str, Any]:
    return {"amount": str(Money(minor, currency).decimal), "minor": minor, "currency": currency}


def _plain(value: Claim | Source) -> dict[str, Any]:
    """Fields that say something; an empty one was not stated."""
    fields: dict[str, Any] = msgspec.to_builtins(value)
    return {name: field for name, field in fields.items() if field not in ("", None)}
