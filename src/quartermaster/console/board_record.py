"""Promises, warnings and our own past probabilities on the board report, where files hold them."""

from typing import TYPE_CHECKING

from quartermaster.console.board_parts import Desk, Line, Section, Table
from quartermaster.console.format import EM_DASH, day, number
from quartermaster.console.guidance_text import record_lines, verdict_rows
from quartermaster.console.ports_warning import CustomerLook, WarningLook
from quartermaster.console.report_words import catalogue, percent_words, statistic
from quartermaster.console.warning_text import against_chance
from quartermaster.revenue.scorecard import Scorecard

if TYPE_CHECKING:
    from quartermaster.exposure.departure_statements import Record
    from quartermaster.exposure.warning import TenantWarning, Warnings
    from quartermaster.stats.likelihood_scores import Scores

PROMISES_MAX = 12
"""Three years of quarters; older ones count in the track record and are in `guidance score`."""
TENANTS_MAX = 6
"""Those with most to lose; a board does not look into more, and `warn` lists all."""
RATIO_MAX = 100.0
"""A level a hundred times the one before is a customer that began."""
_SCORE_DECIMALS = 3


def guidance_section(on: Desk, card: Scorecard) -> Section:
    """Verdicts, the newest last, and the track record."""
    words, lang = on.words, on.words.lang
    rows = verdict_rows(card, lang)
    outcomes = [entry.verdict.outcome for entry in card.entries]
    shown = list(zip(rows, outcomes, strict=True))[-PROMISES_MAX:]
    notes = record_lines(card, lang)
    head = catalogue("guidance", lang)
    inferred = any(entry.promise.guidance.inferred for entry in card.entries)
    if inferred:
        notes.append(f"* {head('inferred')}")
    if len(rows) > PROMISES_MAX:
        notes.append(words("guidance.older", count=number(len(rows) - PROMISES_MAX, lang)))
    return Section(
        id="guidance",
        title=words("guidance.title"),
        table=Table(
            head=tuple(head(key) for key in ("period", "metric", "guided", "came", "verdict")),
            lines=tuple(Line(row, "risk" if outcome == "miss" else "") for row, outcome in shown),
            words_from=1,
        ),
        notes=tuple(notes),
    )


def warning_section(on: Desk, found: "Warnings") -> Section:
    """Who is leaving by what usage says: most expected loss first."""
    words, lang = on.words, on.words.lang
    lead = words(
        "warning.lead",
        day=day(found.as_of, lang),
        tenants=number(len(found.tenants), lang),
        alarms=number(sum(1 for tenant in found.tenants if tenant.alarms), lang),
    )
    notes = []
    if found.base_rate is not None:
        notes.append(
            words(
                "warning.base",
                rows=number(found.learnt_rows, lang),
                rate=on.part(found.base_rate),
            )
        )
    else:
        notes.append(words("warning.no_probability"))
    if found.false_alarms_per_year is None:
        notes.append(words("warning.no_alarms"))
    else:
        alarms = number(statistic(found.false_alarms_per_year), lang, decimals=2)
        notes.append(words("warning.false_alarms", rate=alarms))
    return Section(
        id="warning",
        title=words("warning.title"),
        lead=(lead,),
        table=Table(
            head=tuple(
                words(f"warning.{key}") for key in ("tenant", "share", "chance", "alarm", "level")
            ),
            lines=tuple(_tenant(tenant, on) for tenant in found.tenants[:TENANTS_MAX]),
            words_from=3,
        ),
        notes=tuple(notes),
    )


def look_section(on: Desk, found: WarningLook) -> Section:
    """Who is leaving by what was metered here: most probable revenue at stake first."""
    words, lang = on.words, on.words.lang
    owed = {group.group: group.minor for group in on.facts.report.exposure.groups}

    def at_stake(one: CustomerLook) -> tuple[float, str]:
        return -one.ledger.stated.probability * owed.get(one.name, 0), one.name

    ranked = sorted(found.customers, key=at_stake)
    lines = []
    for one in ranked[:TENANTS_MAX]:
        stated, since = one.ledger.stated, min((up.since for up in one.alarms), default=None)
        cells = (
            one.name,
            on.part(stated.probability),
            f"{on.part(stated.low)}–{on.part(stated.high)}",
            "" if since is None else words("warning.since", day=day(since, lang)),
        )
        lines.append(Line(cells, "risk" if one.alarms else ""))
    return Section(
        id="warning",
        title=words("warning.title"),
        lead=(
            words(
                "warning.look",
                day=day(found.on, lang),
                customers=number(len(found.customers), lang),
                alarms=number(sum(1 for one in found.customers if one.alarms), lang),
            ),
        ),
        table=Table(
            head=tuple(
                words(f"warning.{key}") for key in ("customer", "halves", "interval", "alarm")
            ),
            lines=tuple(lines),
            words_from=3,
        ),
        notes=(words("warning.look_note"),),
    )


def statements_section(on: Desk, record: "Record") -> Section:
    """How good our own past probabilities were."""
    words, lang, score = on.words, on.words.lang, record.scores
    title = words("statements.title")
    own: tuple[str, ...] = ()
    if on.facts.given.stated_here:
        own = (words("statements.own_sample") if on.facts.sample else words("statements.own"),)
    if score is None:
        none = words("statements.none", count=number(record.statements, lang))
        return Section(id="statements", title=title, lead=(none,), notes=own)

    def decimals(value: float) -> str:
        return number(statistic(value), lang, decimals=_SCORE_DECIMALS)

    lead = words(
        "statements.lead",
        count=number(score.statements, lang),
        subjects=number(record.subjects, lang),
        open=number(record.open, lang),
        brier=decimals(score.brier),
        right=decimals(score.brier_if_calibrated),
        sd=decimals(score.brier_if_calibrated_sd),
        base=decimals(score.brier_base_rate),
    )
    lines = tuple(
        Line(
            (
                on.part(group.stated),
                on.part(group.came.share),
                f"{on.part(group.came.low)}–{on.part(group.came.high)}",
                number(group.statements, lang),
            )
        )
        for group in score.bins
    )
    heads = ("stated", "came", "interval", "number")
    return Section(
        id="statements",
        title=title,
        lead=(lead, *_against_chance(score, on)),
        table=Table(head=tuple(words(f"statements.{key}") for key in heads), lines=lines),
        notes=(*own, *(() if score.enough else (words("statements.too_few"),))),
    )


def _against_chance(score: "Scores", on: Desk) -> tuple[str, ...]:
    """Whether chance explains the distance of what was stated from what came."""
    if not score.enough:
        return ()
    ends = score.came.low, score.came.high
    words = catalogue("warning", on.words.lang)
    beyond = score.beyond_chance
    return (against_chance(score.stated, score.came.share, ends, words, beyond=beyond),)


def _tenant(tenant: "TenantWarning", on: Desk) -> Line:
    words, lang = on.words, on.words.lang
    since = min((alarm.since for alarm in tenant.alarms), default=None)
    level = ""
    if tenant.change is not None:
        level = words(
            "warning.changed",
            day=day(tenant.change.week_from, lang),
            ratio=on.part(min(tenant.change.ratio, RATIO_MAX)),
        )
    cells = (
        tenant.tenant,
        on.part(tenant.share, 1),
        EM_DASH
        if tenant.probability is None
        else percent_words(statistic(tenant.probability), lang),
        "" if since is None else words("warning.since", day=day(since, lang)),
        level,
    )
    return Line(cells, "risk" if tenant.alarms else "")
