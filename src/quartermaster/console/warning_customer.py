"""One customer's warning page: the ledger as a waterfall, use and detectors, signals, notice."""

import msgspec

from quartermaster.console.exposure_view import picture
from quartermaster.console.figures_warning import (
    Mark,
    ScoreTrack,
    WaterfallEnd,
    WaterfallRow,
    detector_timeline,
    evidence_waterfall,
)
from quartermaster.console.format import EM_DASH, NBSP, day, number
from quartermaster.console.language import Words
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture, Tile
from quartermaster.console.ports_warning import (
    AtStake,
    Chance,
    CustomerLook,
    NoticeLine,
    WarningFacts,
    WarningLook,
    WarningStep,
)
from quartermaster.console.report_words import statistic
from quartermaster.console.warning_text import (
    chance,
    detectors,
    fact_words,
    kind_words,
    pct,
    plain,
    prior_words,
    reason_words,
)
from quartermaster.console.warning_view import Stakes
from quartermaster.exposure.evidence_kinds import KIND_BY_ID

FROM_METERS = "meters"
"""Source of what was found in usage; other sources are shown as they are."""
_SAME = 1e-6
# A tenth of a percentage point: less would show as the same figure.
_SHOWN = 5e-4


class StepRow(msgspec.Struct, frozen=True):
    """One line of the ledger's table."""

    on: str
    what: str
    fact: str
    source: str
    ratio: str
    interval: str
    origin: str
    counted: str
    after: str
    kind: str


class AlarmRow(msgspec.Struct, frozen=True):
    """One detector in alarm."""

    detector: str
    since: str
    score: str
    threshold: str


class NoticeRow(msgspec.Struct, frozen=True):
    """When one contract can be left."""

    contract: str
    state: str
    days: str
    by: str
    ends: str
    kind: str


class CustomerView(msgspec.Struct, frozen=True):
    """Everything one customer's page shows."""

    customer: str
    name: str
    sample: bool
    findings: tuple[str, ...]
    origin: str
    event: str
    tiles: tuple[Tile, ...]
    waterfall: Picture
    prior: StepRow
    steps: tuple[StepRow, ...]
    stated: StepRow
    ledger_notes: tuple[str, ...]
    timeline: Picture | None
    alarms: tuple[AlarmRow, ...]
    changes: str
    reasons: tuple[str, ...]
    signals: tuple[tuple[str, str], ...]
    """What and the finding with its figures."""
    notices: tuple[NoticeRow, ...]


def view_of(
    one: AtStake, facts: WarningFacts, look: WarningLook, words: Words, sample_words: Words
) -> CustomerView:
    """Lay one customer out for a reader."""
    lay = Stakes(facts, words, sample_words)
    said, ledger = one.look, one.look.ledger
    return CustomerView(
        customer=said.customer,
        name=said.name,
        sample=facts.sample,
        findings=tuple(_findings(one, lay)),
        origin=lay.origin(look),
        event=words("page.event"),
        tiles=tuple(_tiles(one, lay)),
        waterfall=_waterfall(said, lay),
        prior=_end(words("ledger.prior"), prior_words(ledger, words), ledger.prior, words),
        steps=tuple(_step(step, look, words) for step in ledger.steps),
        stated=_end(words("ledger.stated"), "", ledger.stated, words),
        ledger_notes=tuple(_ledger_notes(said, words)),
        timeline=_timeline(said, look, lay),
        alarms=tuple(
            AlarmRow(
                words(f"detector.{alarm.detector}"),
                day(alarm.since, lay.lang),
                number(statistic(alarm.score), lay.lang, decimals=1),
                number(statistic(alarm.threshold), lay.lang, decimals=1),
            )
            for alarm in said.alarms
        ),
        changes=_changes(said, words),
        reasons=tuple(reason_words(reason, words) for reason in said.reasons),
        signals=tuple(
            (kind_words(step.kind, words), _fact(step, look, words))
            for step in ledger.steps
            if step.kind not in {"usage_alarm", "usage_quiet"}
        ),
        notices=tuple(_notice(line, words) for line in said.notices),
    )


def _findings(one: AtStake, lay: Stakes) -> list[str]:
    words, said = lay.words, one.look
    ledger = said.ledger
    found = [words("finding.stated", name=said.name, **chance(ledger.stated, words))]
    if one.minor is not None:
        found.append(
            words(
                "finding.lost",
                revenue=lay.short(one.minor),
                window=lay.window,
                lost=lay.short(one.expected_minor),
                low=lay.short(one.expected_low_minor),
                high=lay.short(one.expected_high_minor),
            )
        )
    if said.alarms:
        since = min(alarm.since for alarm in said.alarms)
        names = detectors(", ".join(alarm.detector for alarm in said.alarms), words)
        found.append(words("finding.alarm", day=day(since, lay.lang), detectors=names))
    elif any(score[-1] is not None for score in said.timeline.scores.values() if score):
        found.append(words("finding.quiet"))
    if lay.facts.still_open and one.minor is not None:
        found.append(words("finding.open", month=lay.window))
    return found


def _tiles(one: AtStake, lay: Stakes) -> list[Tile]:
    words, said = lay.words, one.look
    places = chance(said.ledger.stated, words)
    note = words("tile.probability_note", low=places["low"], high=places["high"])
    tiles = [
        Tile(
            "probability",
            words("tile.probability"),
            places["probability"],
            note,
            risk=bool(said.alarms),
        )
    ]
    if one.minor is not None:
        ends = {
            "low": lay.short(one.expected_low_minor),
            "high": lay.short(one.expected_high_minor),
        }
        note = words("tile.at_stake_note", **ends)
        tiles.append(Tile("stake", words("tile.at_stake"), lay.short(one.expected_minor), note))
    quarter = words("tile.quarter_none") if said.quarter is None else pct(said.quarter, words)
    tiles.append(Tile("quarter", words("tile.quarter"), quarter, words("tile.quarter_note")))
    dated = [line for line in said.notices if line.notice_by is not None and line.state != "passed"]
    if dated:
        first = min(dated, key=lambda line: str(line.notice_by))
        assert first.notice_by is not None, "chosen for having one"
        note = words("tile.notice_note", contract=first.contract)
        tiles.append(Tile("notice", words("tile.notice"), day(first.notice_by, lay.lang), note))
    return tiles


def _waterfall(said: CustomerLook, lay: Stakes) -> Picture:
    words, ledger = lay.words, said.ledger
    caption = words(
        "ledger.picture_caption",
        prior=pct(ledger.prior.probability, words),
        stated=pct(ledger.stated.probability, words),
    )
    ends = [
        WaterfallEnd(
            label=words(f"ledger.{key}"),
            probability=end.probability,
            low=end.low,
            high=end.high,
            value=pct(end.probability, words),
            hint=words("ledger.end_hint", label=words(f"ledger.{key}"), **chance(end, words)),
        )
        for key, end in (("prior", ledger.prior), ("stated", ledger.stated))
    ]
    steps = [
        WaterfallRow(
            label=kind_words(step.kind, words),
            before=step.before,
            after=step.after,
            alone=step.alone,
            value=f"×{plain(step.counted, words)}{NBSP}→{NBSP}{pct(step.after, words)}",
            hint=words(
                "ledger.hint",
                label=kind_words(step.kind, words),
                before=pct(step.before, words),
                after=pct(step.after, words),
            ),
        )
        for step in ledger.steps
    ]
    drawn = [
        evidence_waterfall(
            ends[0],
            steps,
            ends[1],
            title=words("ledger.title"),
            desc=lay.labelled(caption),
            x_label=words("ledger.x"),
            width=width,
            name=f"waterfall-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    return picture(drawn, lay.labelled(caption))


def _timeline(said: CustomerLook, look: WarningLook, lay: Stakes) -> Picture | None:
    words, line = lay.words, said.timeline
    if len(line.usage) < 2:
        return None
    days = number(len(line.usage), lay.lang)
    if line.scores:
        caption = words("use.caption", days=days)
    else:
        needed = number(look.alarm_days_min, lay.lang)
        caption = words("use.caption_short", days=days, needed=needed)
    tracks = [
        ScoreTrack(
            label=words(f"detector.{name}"),
            scores=scores,
            threshold=line.thresholds.get(name),
        )
        for name, scores in line.scores.items()
        if any(score is not None for score in scores)
    ]
    marks = [
        Mark(
            change.on,
            words("use.change", day=day(change.on, lay.lang), ratio=_level(change.ratio, words)),
        )
        for change in line.changes
    ]
    drawn = [
        detector_timeline(
            line.first_day,
            line.usage,
            tracks,
            marks,
            title=words("use.picture"),
            desc=lay.labelled(caption),
            usage_label=words("use.usage"),
            threshold_label=words("use.threshold"),
            lang=lay.lang,
            width=width,
            name=f"timeline-{width}",
        )
        for width in (WIDE_PX, PHONE_PX)
    ]
    return picture(drawn, lay.labelled(caption))


def _level(ratio: float, words: Words) -> str:
    if ratio == float("inf"):
        return plain(ratio, words)
    whole = number(round(100 * ratio), words.lang)
    return f"{whole}{NBSP}%" if words.lang == "de" else f"{whole}%"


def _changes(said: CustomerLook, words: Words) -> str:
    changes = said.timeline.changes
    if not changes:
        return words("use.no_change")
    told = [
        words("use.change_words", day=day(one.on, words.lang), ratio=_level(one.ratio, words))
        for one in changes
    ]
    return words("use.changes", changes="; ".join(told))


def _end(label: str, fact: str, found: Chance, words: Words) -> StepRow:
    places = chance(found, words)
    interval = words("ledger.ratio_range", low=places["low"], high=places["high"])
    return StepRow("", label, fact, "", "", interval, "", "", places["probability"], "rest")


def _step(step: WarningStep, look: WarningLook, words: Words) -> StepRow:
    if abs(step.counted / step.ratio - 1) < _SAME:
        counted, kind = f"×{plain(step.counted, words)}", "named"
    elif abs(step.counted - 1) < _SAME:
        counted, kind = words("ledger.nothing"), "capped"
    else:
        counted, kind = f"×{plain(step.counted, words)}", "capped"
    block = words(f"block.{step.block}")
    return StepRow(
        on=day(step.on, words.lang),
        what=kind_words(step.kind, words),
        fact=_fact(step, look, words),
        source=f"{_source(step, words)} · {block}",
        ratio=words("ledger.ratio_value", ratio=plain(step.ratio, words)),
        interval=words(
            "ledger.ratio_range", low=plain(step.low, words), high=plain(step.high, words)
        ),
        origin=words(f"origin.{step.origin}"),
        counted=counted,
        after=pct(step.after, words),
        kind=kind,
    )


def _fact(step: WarningStep, look: WarningLook, words: Words) -> str:
    if step.fact is not None:
        return words.pick(step.fact)
    figures = dict(step.figures)
    if look.window_days is not None:
        figures.setdefault("window", look.window_days)
    return fact_words(step.kind, figures, words)


def _source(step: WarningStep, words: Words) -> str:
    if step.source == FROM_METERS:
        return words("ledger.from_meters")
    if KIND_BY_ID[step.kind].block == "contract":
        return words("ledger.from_contract", contract=step.source)
    return step.source


def _ledger_notes(said: CustomerLook, words: Words) -> list[str]:
    ledger, found = said.ledger, []
    if ledger.steps:
        found.append(
            words(
                "finding.stated_from",
                prior=pct(ledger.prior.probability, words),
                joint=plain(ledger.joint, words),
                joint_low=plain(ledger.joint_low, words),
                joint_high=plain(ledger.joint_high, words),
            )
        )
    else:
        found.append(words("finding.stated_prior"))
    if abs(ledger.if_independent - ledger.stated.probability) > _SHOWN and any(
        abs(step.counted - step.ratio) > _SAME for step in ledger.steps
    ):
        found.append(words("ledger.capped", probability=pct(ledger.if_independent, words)))
    if ledger.stale:
        kinds = "; ".join(kind_words(kind, words) for kind in ledger.stale)
        found.append(words("ledger.stale", kinds=kinds))
    return found


def _notice(line: NoticeLine, words: Words) -> NoticeRow:
    return NoticeRow(
        contract=line.contract,
        state=words(f"notice.{line.state}"),
        days=words("notice.days_value", days=number(line.notice_days, words.lang)),
        by=EM_DASH if line.notice_by is None else day(line.notice_by, words.lang),
        ends=EM_DASH if line.ends_on is None else day(line.ends_on, words.lang),
        kind="largest" if line.state == "near" else "named",
    )
