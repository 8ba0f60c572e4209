"""Bands of the exposure report in words: who is in which, against what, and what was decided."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from quartermaster.console.format import Lang, day, money_short, number, percent
from quartermaster.console.language import Words
from quartermaster.console.report_words import percent_words, statistic
from quartermaster.exposure.bands import BandLine, Bands, Edges, Ratio
from quartermaster.exposure.report import Report
from quartermaster.kernel.money import EXACT, Money

ROWS_MAX = 12
"""Rows of the table: with little that bears a loss every customer is in a band. All in the JSON."""
NAMES_MAX = 5
"""Names in a sentence; the table has more."""


class BandRow(msgspec.Struct, frozen=True):
    """One customer in a band. `ratios` stand in the order of the view's `heads`."""

    group: str
    ratios: tuple[str, ...]
    decided: str
    breach: bool


class BandsView(msgspec.Struct, frozen=True, kw_only=True):
    """The section on bands as strings of one language."""

    lines: tuple[str, ...]
    """What the edges are, and of what."""
    heads: tuple[str, ...]
    rows: tuple[BandRow, ...]
    rest: str
    """How many more are in a band, or that nobody is; empty where all are shown."""


def bands_view(report: Report, denominator: str, words: Words) -> BandsView | None:
    """The section on bands; None where nothing was measured against any."""
    bands = report.bands
    if bands is None:
        return None
    absorbing = bands.rules.absorbing
    report_at, breach_at = edge_words(bands.rules.edges, words.lang)
    lines = [words("bands.edges", report=report_at, breach=breach_at, denominator=denominator)]
    heads = [words("bands.share")]
    if absorbing is None:
        lines.append(words("bands.no_absorbing"))
    else:
        report_at, breach_at = edge_words(absorbing.edges, words.lang)
        amount = money_short(Money(absorbing.minor, absorbing.currency), words.lang)
        lines.append(
            words(
                "bands.edges_absorbing",
                what=absorbing.what,
                amount=amount,
                report=report_at,
                breach=breach_at,
            )
        )
        heads.append(words("bands.ratio", what=absorbing.what))
    return BandsView(
        lines=tuple(lines),
        heads=tuple(heads),
        rows=tuple(_row(line, words) for line in bands.lines[:ROWS_MAX]),
        rest=_rest(bands, words),
    )


def band_findings(report: Report, words: Words) -> list[str]:
    """Who is in breach, and for whom nobody has said who does what until when."""
    bands = report.bands
    if bands is None or not bands.breaches:
        return []
    named = [_named(line, bands, words) for line in bands.breaches]
    found = [words("bands.finding", groups=_listed(named, words))]
    if bands.unplanned:
        groups = [line.group for line in bands.unplanned]
        found.append(words("bands.finding_open", groups=_listed(groups, words)))
    return found


def _listed(names: Sequence[str], words: Words) -> str:
    shown = ", ".join(names[:NAMES_MAX])
    if len(names) <= NAMES_MAX:
        return shown
    more = number(len(names) - NAMES_MAX, words.lang)
    return words("shares.members_more", members=shown, count=more)


def _rest(bands: Bands, words: Words) -> str:
    if not bands.lines:
        return words("bands.none")
    more = len(bands.lines) - ROWS_MAX
    return words("bands.more", count=number(more, words.lang)) if more > 0 else ""


def edge_words(edges: Edges, lang: Lang) -> tuple[str, str]:
    """Both edges as percentages, with the digits that they have."""
    return _edge(edges.report_at, lang), _edge(edges.breach_at, lang)


def _edge(edge: Fraction, lang: Lang) -> str:
    exact = EXACT.divide(Decimal(edge.numerator), Decimal(edge.denominator))
    digits = max(0, -int(exact.normalize(EXACT).as_tuple().exponent) - 2)
    return percent(exact, lang, decimals=digits)


def _row(line: BandLine, words: Words) -> BandRow:
    return BandRow(
        group=line.group,
        ratios=tuple(_ratio(ratio, words) for ratio in line.ratios),
        decided=_decided(line, words),
        breach=line.breach,
    )


def _ratio(ratio: Ratio, words: Words) -> str:
    shown = percent_words(statistic(ratio.value), words.lang)
    if ratio.band is None:
        return shown
    return words("bands.value", ratio=shown, band=words(f"bands.band_{ratio.band}"))


def _decided(line: BandLine, words: Words) -> str:
    if not line.breach:
        return words("bands.not_needed")
    if line.missing:
        fields = ", ".join(words(f"bands.field_{field}") for field in line.missing)
        return words("bands.missing", fields=fields)
    plan = line.plan
    assert plan is not None, "a breach that misses nothing has a plan"
    assert plan.due is not None, "a breach that misses nothing has a date"
    shown = words("bands.plan", owner=plan.owner, due=day(plan.due, words.lang), plan=plan.plan)
    return f"{shown} ({words('bands.overdue')})" if line.overdue else shown


def _named(line: BandLine, bands: Bands, words: Words) -> str:
    what = "" if bands.rules.absorbing is None else bands.rules.absorbing.what
    ratios = " · ".join(
        words(
            f"bands.ratio_{ratio.against}",
            ratio=percent_words(statistic(ratio.value), words.lang),
            what=what,
        )
        for ratio in line.ratios
        if ratio.band == "breach"
    )
    return words("bands.named", group=line.group, ratios=ratios)
