"""The first page of the board report: the finding, its picture, its table, what the words mean."""

from typing import TYPE_CHECKING, Literal

from quartermaster.console.board_parts import (
    DESK_PX,
    PHONE_PX,
    Desk,
    Line,
    Picture,
    Section,
    Table,
    picture,
    rate,
)
from quartermaster.console.figures_loss import LossBar, loss_bars
from quartermaster.console.format import EM_DASH, number
from quartermaster.console.report import share_figure
from quartermaster.console.report_bands import band_findings
from quartermaster.console.report_view import denominator_words, share_words
from quartermaster.console.report_words import statistic
from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.exposure.rollup import GroupShare
from quartermaster.kernel.money import exponent

if TYPE_CHECKING:
    from quartermaster.exposure.risk_measure import Part, Risk

BARS_NAMED = 3
"""Customers with bars of their own: the page holds its finding, picture, table and definitions."""
ROWS_NAMED = 6
"""Rows of the table on the first page; the exposure report has more, and its JSON all."""


def findings(on: Desk) -> tuple[str, ...]:
    """The answer in sentences: first the share and the share of the loss, then what is open."""
    words, facts, report = on.words, on.facts, on.facts.report
    largest = report.largest
    places = {
        "name": on.name(largest),
        "share": on.share(largest.minor),
        "denominator": denominator_words(report.exposure.denominator, on.report_words),
        "amount": on.short(largest.minor),
        "total": on.short(report.exposure.denominator.minor),
    }
    if facts.risk is None:
        found = [words("finding.share", **places)]
    else:
        found = [words(f"finding.{_rates_key(facts.risk)}", **places, **_loss(facts.risk, on))]
    if largest.share_low is not None and largest.share_high is not None:
        low, high = on.part(largest.share_low, 1), on.part(largest.share_high, 1)
        found.append(words("finding.range", low=low, high=high))
    found += band_findings(report, on.report_words)
    if facts.risk is not None:
        found.append(words(f"rates.{facts.rates}"))
    if facts.still_open:
        found.append(words("finding.still_open"))
    return tuple(found)


def first_section(on: Desk) -> Section:
    """Picture and table: who is how much of revenue and of the loss."""
    words, risk = on.words, on.facts.risk
    table = _table(on)
    if risk is None:
        report = on.facts.report
        caption = share_words(
            report, denominator_words(report.exposure.denominator, on.report_words), on.report_words
        )
        drawn = [
            share_figure(report, words.lang, width=width, name=f"shares-{width}")
            for width in (DESK_PX, PHONE_PX)
        ]
        shown = picture(drawn, on.labelled(caption))
        return Section(id="loss", title=words("shares.title"), picture=shown, table=table)
    shown, notes = _picture(risk, on), _notes(risk, on)
    return Section(id="loss", title=words("loss.title"), picture=shown, table=table, notes=notes)


def _rates_key(risk: "Risk") -> str:
    """Which sentence: with one rate for all, the figure at equal rates is the same one."""
    rates = risk.assumptions.hazard_per_year
    own = any(one.hazard_per_year is not None for one in risk.assumptions.customer)
    return "loss" if own or rates.top != rates.rest else "loss_equal"


def _loss(risk: "Risk", on: Desk) -> dict[str, str]:
    assumptions, words = risk.assumptions, on.words
    return {
        "loss": on.part(risk.top.shortfall_share),
        "equal_share": on.part(risk.top.shortfall_share_at_equal_hazard),
        "hazard": rate(risk.top.hazard_per_year, words),
        "others": rate(assumptions.hazard_per_year.rest, words),
        # A mean, of which the third digit means nothing.
        "equal": rate(round(risk.equal_hazard_per_year, 3), words),
        "months": number(assumptions.horizon_months, words.lang),
        "quantile": rate(assumptions.quantile, words),
        "worst": rate(1 - assumptions.quantile, words),
    }


def _picture(risk: "Risk", on: Desk) -> Picture:
    words = on.words
    places = _loss(risk, on)
    named = risk.parts[:BARS_NAMED]
    bars = [
        _bar(
            part.name,
            (part.revenue_share, part.shortfall_share, part.shortfall_share_at_equal_hazard),
            on,
            kind="named" if at else "asked",
        )
        for at, part in enumerate(named)
    ]
    others = len(risk.parts) + risk.pooled - len(named)
    if others:
        rest = (
            1 - sum(part.revenue_share for part in named),
            1 - sum(part.shortfall_share for part in named),
            1 - sum(part.shortfall_share_at_equal_hazard for part in named),
        )
        label = words("shares.others", count=number(others, words.lang))
        bars.append(_bar(label, rest, on, kind="rest"))
    legend = (
        words("loss.legend_revenue"),
        words("loss.legend_loss", **places),
        words("loss.legend_equal", **places),
    )
    desc = words("loss.desc", name=risk.top.name, **places)
    caption = words("loss.caption", **places)
    drawn = [
        loss_bars(
            bars,
            legend=legend,
            title=words("loss.title"),
            desc=on.labelled(desc),
            width=width,
            name=f"loss-{width}",
        )
        for width in (DESK_PX, PHONE_PX)
    ]
    return picture(drawn, on.labelled(caption))


def _bar(
    label: str,
    shares: tuple[float, float, float],
    on: Desk,
    *,
    kind: Literal["asked", "named", "rest"],
) -> LossBar:
    revenue, loss, equal = (max(share, 0.0) for share in shares)
    return LossBar(
        label=label,
        kind=kind,
        revenue=statistic(revenue),
        loss=statistic(loss),
        equal=statistic(equal),
        revenue_text=on.part(revenue, 1),
        loss_text=on.part(loss, 1),
        equal_text=on.part(equal, 1),
    )


def _table(on: Desk) -> Table:
    """The largest by name, the others as one row, and the sum."""
    words, report, risk = on.words, on.facts.report, on.facts.risk
    groups = report.exposure.groups
    cut = ROWS_NAMED if len(groups) > ROWS_NAMED + 1 else len(groups)
    parts = {} if risk is None else {part.name: part for part in risk.parts}
    ranged = any(group.share_low is not None for group in groups)
    lines = [_row(group, parts.get(group.group), on, ranged=ranged) for group in groups[:cut]]
    others = groups[cut:]
    if others:
        named = [parts[group.group] for group in groups[:cut] if group.group in parts]
        minor = sum(group.minor for group in others)
        cells = [words("shares.others", count=number(len(others), words.lang))]
        cells += [on.short(minor), on.share(minor)]
        cells += [""] * ranged
        if risk is not None:
            cells.append(on.part(1 - sum(part.shortfall_share for part in named), 1))
            equal = sum(part.shortfall_share_at_equal_hazard for part in named)
            cells += [on.part(1 - equal, 1), ""]
        lines.append(Line((*cells, ""), "rest"))
    whole = report.exposure.denominator.minor
    cells = [words("shares.total"), on.short(whole), on.share(whole), *[""] * ranged]
    if risk is not None:
        cells += [on.part(1.0, 1), on.part(1.0, 1), ""]
    lines.append(Line((*cells, ""), "total"))
    head = ["customer", "revenue", "share", *["range"] * ranged]
    if risk is not None:
        head += ["loss", "equal", "hazard"]
    head.append("band")
    denominator = denominator_words(report.exposure.denominator, on.report_words)
    caption = words("shares.caption", denominator=denominator)
    if risk is not None:
        caption += " " + words("loss.table", **_loss(risk, on))
    return Table(
        head=tuple(words(f"shares.{key}") for key in head),
        lines=tuple(lines),
        caption=caption,
        words_from=len(head) - 1,
    )


def _row(group: GroupShare, part: "Part | None", on: Desk, *, ranged: bool) -> Line:
    bands = on.facts.report.bands
    line = next((one for one in bands.lines if one.group == group.group), None) if bands else None
    # The worst of its bands: against revenue, or against what would bear the loss.
    reached = [] if line is None else [ratio.band for ratio in line.ratios if ratio.band]
    band = "breach" if "breach" in reached else "report" if reached else ""
    cells = [on.name(group), on.short(group.minor), on.share(group.minor)]
    if ranged:
        ends = [group.share_low, group.share_high]
        cells.append("–".join(on.part(end, 1) for end in ends if end is not None))
    if part is not None:
        cells.append(on.part(part.shortfall_share, 1))
        cells.append(on.part(part.shortfall_share_at_equal_hazard, 1))
        cells.append(rate(part.hazard_per_year, on.words))
    elif on.facts.risk is not None:
        cells += [EM_DASH] * 3
    cells.append(on.words(f"bands.{band}") if band else "")
    return Line(tuple(cells), "risk" if band else "")


def _notes(risk: "Risk", on: Desk) -> tuple[str, ...]:
    words, assumptions = on.words, risk.assumptions
    units = 10 ** exponent(on.facts.currency) * risk.scale

    def amount(value: float) -> str:
        return on.short(round(value * units))

    tail, departure = risk.tail, assumptions.departure
    return (
        words(
            "loss.amounts",
            plan=on.short(round(risk.plan * 10 ** exponent(on.facts.currency))),
            expected=amount(tail.expected.value),
            shortfall=amount(tail.expected_shortfall.value),
            error=amount(tail.expected_shortfall.standard_error),
            equal=amount(risk.equal_tail.expected_shortfall.value),
        ),
        words(
            "loss.terms",
            notice=number(statistic(departure.notice_months), words.lang),
            ramp=number(statistic(departure.ramp_months), words.lang),
            backfill=on.part(assumptions.backfill.share),
            commitments=_committed(assumptions, on),
        ),
        words(
            f"loss.engine_{risk.engine}",
            scenarios=number(tail.scenarios, words.lang),
            seed=str(risk.seed),
        ),
    )


def _committed(assumptions: Assumptions, on: Desk) -> str:
    count = sum(1 for one in assumptions.customer if one.commitment_months)
    if not count:
        return on.words("loss.no_commitments")
    return on.words("loss.commitments", count=number(count, on.words.lang))
