"""Departures, past statements and losses in filings, in words: German and English."""

from collections.abc import Iterator
from decimal import Decimal

from quartermaster.console.figures_reliability import StatedBin, reliability_diagram
from quartermaster.console.format import Lang, day, number, percent
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue, statistic
from quartermaster.console.text_columns import columns
from quartermaster.console.warning_text import against_chance
from quartermaster.exposure.departure import Opinion
from quartermaster.exposure.departure_statements import Record
from quartermaster.exposure.evidence import Evidence, day_of
from quartermaster.exposure.evidence_kinds import KINDS
from quartermaster.exposure.evidence_ledger import Line
from quartermaster.exposure.replay import finding, warned_days
from quartermaster.exposure.sec_losses import Losses, Rate
from quartermaster.stats.likelihood import Ratio
from quartermaster.stats.likelihood_scores import Bin, Scores

_SCORE_DECIMALS = 4
_BAR_CHARS = 40
# A share of the odds that counts less than this from one is a rounding error.
_SAME = 1e-6
# A tenth of a percentage point: less would show as the same figure.
_SHOWN = 5e-4


def opinion_text(found: Opinion, lang: Lang) -> str:
    """The finding, then every step to it."""
    words, case, steps = catalogue("departure", lang), found.case, found.ledger
    after, prior = steps.posterior, steps.prior
    lines = [
        words(
            "title",
            title=case.title or case.id,
            probability=_pct(after.probability, lang),
            low=_pct(after.low, lang),
            high=_pct(after.high, lang),
            months=case.horizon_months,
            day=_day(found.on, lang),
            finding=words(f"finding.{finding(found)}"),
        ),
        words("event", event=case.event),
        words(
            "prior",
            probability=_pct(prior.probability, lang),
            low=_pct(prior.low, lang),
            high=_pct(prior.high, lang),
            words=_prior(found, words),
        ),
    ]
    for line in steps.lines:
        lines += _line(line, words)
    lines += [
        words("stale", day=_day(piece.on, lang), what=_what(piece, lang)) for piece in steps.stale
    ]
    return "\n".join([*lines, *_together(found, words)])


def kinds_text(lang: Lang) -> str:
    """Every kind of evidence with its ratio and its reason."""
    words = catalogue("departure", lang)
    return "\n".join(
        words(
            "kind",
            id=kind.id,
            low=_plain(kind.low, lang),
            high=_plain(kind.high, lang),
            origin=words(f"origin.{kind.origin}"),
            block=words(f"block.{kind.block}"),
            months=kind.lasts_months,
            what=kind.said(lang)[0],
            why=kind.said(lang)[1],
        )
        for kind in KINDS
    )


def record_text(found: Record, lang: Lang) -> str:
    """Scores of past statements, then the reliability diagram."""
    words = catalogue("departure", lang)
    if found.scores is None:
        return words("statements.none", statements=found.statements)
    score: Scores = found.scores
    lines = [
        words(
            "statements.scores",
            resolved=score.statements,
            open=found.open,
            subjects=found.subjects,
            brier=_score(score.brier, lang),
            log_score=_score(score.log_score, lang),
        ),
        words(
            "statements.calibrated",
            brier=_score(score.brier_if_calibrated, lang),
            sd=_score(score.brier_if_calibrated_sd, lang),
        ),
        words("statements.base_rate", brier=_score(score.brier_base_rate, lang)),
    ]
    if score.enough:
        came, about = score.came, catalogue("warning", lang)
        ends, beyond = (came.low, came.high), score.beyond_chance
        lines.append(against_chance(score.stated, came.share, ends, about, beyond=beyond))
    else:
        lines.append(words("statements.too_few"))
    head = tuple(words(f"statements.{key}") for key in ("stated", "came", "interval", "number"))
    rows = [(*head, ""), *(_bin(group, lang) for group in score.bins)]
    return "\n".join([*lines, *columns(rows, right=[True, True, True, True, False])])


def record_figure(found: Record, lang: Lang) -> str:
    """The reliability diagram of resolved statements, as one SVG.

    Raises:
        UsageError: no statement is resolved.
    """
    words = catalogue("departure", lang)
    bins = [
        StatedBin(
            stated=group.stated,
            came=group.came.share,
            low=group.came.low,
            high=group.came.high,
            count=number(group.statements, lang),
            hint=words(
                "statements.hint",
                stated=_pct(group.stated, lang),
                came=_pct(group.came.share, lang),
                low=_pct(group.came.low, lang),
                high=_pct(group.came.high, lang),
                number=number(group.statements, lang),
            ),
        )
        for group in (found.scores.bins if found.scores is not None else ())
    ]
    return reliability_diagram(
        bins,
        title=words("statements.figure"),
        desc=record_text(found, lang).partition("\n")[0],
        x_label=words("statements.x"),
        y_label=words("statements.y"),
        diagonal=words("statements.diagonal"),
    )


def losses_text(found: Losses, lang: Lang) -> str:
    """Base rates, what became of each customer, and what was left out."""
    words = catalogue("departure", lang)
    lines = [
        words(
            "sec.found",
            customers=found.customers,
            filers=found.filers,
            filings=found.filings,
            sets=found.sets,
            anonymous=found.anonymous,
        )
    ]
    if found.at_least is None or found.at_most is None:
        lines.append(words("sec.nothing"))
    else:
        lines.append(_rate("at_least", found.at_least, words))
        lines.append(_rate("at_most", found.at_most, words))
    lines += [
        words("sec.fate", fate=words(f"sec.fates.{fate}"), number=count)
        for fate, count in found.fates.items()
    ]
    lines.append(words("sec.not_followed", number=found.not_followed))
    lines += [
        words(
            "sec.year",
            year=one.year,
            least=one.at_least,
            most=one.at_most,
            years=one.customer_years,
        )
        for one in found.years
    ]
    lines += [
        words("sec.left_out", reason=words(f"sec.reasons.{reason}"), number=count)
        for reason, count in found.left_out.items()
    ]
    return "\n".join(lines)


def _line(line: Line, words: Words) -> Iterator[str]:
    lang, piece, ratio = words.lang, line.evidence, line.ratio
    whole = abs(line.counted / ratio.central - 1) < _SAME
    yield words(
        "line",
        day=_day(piece.on, lang),
        what=_what(piece, lang),
        **_ratio(ratio, lang),
        origin=words(f"origin.{line.origin}"),
        counted="" if whole else words("counts", counted=_plain(line.counted, lang)),
        after=_pct(line.after, lang),
    )
    yield words("fact", fact=piece.fact, source=piece.source)


def _together(found: Opinion, words: Words) -> Iterator[str]:
    lang, steps = words.lang, found.ledger
    yield words("joint", **_ratio(steps.joint, lang))
    cases = "; ".join(
        words(
            "at_prior",
            prior=_pct(one.prior, lang),
            name=words(f"prior_at.{one.prior_at}"),
            posterior=_pct(one.posterior, lang),
        )
        for one in found.sensitivity
    )
    yield words("sensitivity", cases=cases, tipping=_pct(found.tipping_prior, lang))
    if abs(steps.if_independent - steps.posterior.probability) > _SHOWN:
        yield words("if_independent", probability=_pct(steps.if_independent, lang))
    outcome, days = found.case.outcome, warned_days(found)
    if found.alarm_on:
        key = "alarm" if days is None else "alarm_before"
        yield words(key, day=_day(found.alarm_on, lang), days=days)
    if outcome is not None:
        key = "came" if outcome.happened else "stayed"
        yield words(key, day=_day(outcome.on, lang), fact=outcome.fact)


def _prior(found: Opinion, words: Words) -> str:
    places: dict[str, str] = {}
    for name, value in found.believed.figures.items():
        if isinstance(value, str):
            places[name] = value
        elif name in ("median", "p90", "confidence", "bound"):
            places[name] = _pct(value, words.lang)
        else:
            places[name] = _plain(value, words.lang)
    if "rule" in places:
        places["rule"] = words(f"rule.{places['rule']}")
    if places.get("segment") == "":
        places["segment"] = words("prior_by.new_segment")
    return words(f"prior_by.{found.believed.by}", **places)


def _rate(key: str, rate: Rate, words: Words) -> str:
    return words(
        f"sec.{key}",
        share=_pct(rate.share.share, words.lang),
        low=_pct(rate.share.low, words.lang),
        high=_pct(rate.share.high, words.lang),
        losses=rate.losses,
        years=rate.customer_years,
        bound=_pct(rate.upper_bound, words.lang),
    )


def _bin(group: Bin, lang: Lang) -> tuple[str, ...]:
    came = group.came
    return (
        _pct(group.stated, lang),
        _pct(came.share, lang),
        f"{_pct(came.low, lang)} - {_pct(came.high, lang)}",
        number(group.statements, lang),
        _bar(group.stated, came.low, came.share, came.high),
    )


def _bar(stated: float, low: float, share: float, high: float) -> str:
    """From 0 to 1: the interval as dashes, what came as `o`, what was stated as `|`."""
    cells = [" "] * (_BAR_CHARS + 1)
    for at in range(round(low * _BAR_CHARS), round(high * _BAR_CHARS) + 1):
        cells[at] = "-"
    cells[round(share * _BAR_CHARS)] = "o"
    cells[round(stated * _BAR_CHARS)] = "|"
    return f"[{''.join(cells)}]"


def _what(piece: Evidence, lang: Lang) -> str:
    return f"{piece.known_kind.said(lang)[0]} ({piece.kind})"


def _ratio(ratio: Ratio, lang: Lang) -> dict[str, str]:
    return {
        "ratio": _plain(ratio.central, lang),
        "low": _plain(ratio.low, lang),
        "high": _plain(ratio.high, lang),
    }


def _day(text: str, lang: Lang) -> str:
    return day(day_of(text), lang)


def _pct(share: float, lang: Lang) -> str:
    return percent(statistic(share), lang)


def _plain(value: float, lang: Lang) -> str:
    """Two digits: a ratio is not known better, and counts below a hundred stay whole."""
    return number(Decimal(f"{value:.2g}") if abs(value) < 100 else Decimal(round(value)), lang)


def _score(value: float, lang: Lang) -> str:
    return number(statistic(value), lang, decimals=_SCORE_DECIMALS)
