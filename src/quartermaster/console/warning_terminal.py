"""Early warning, its backtest and our own record for a terminal: German and English."""

from decimal import Decimal

from quartermaster.console.format import Lang, day, number, percent
from quartermaster.console.language import Words
from quartermaster.console.ports_warning import ReliabilityFacts, UsageReason
from quartermaster.console.reliability_view import view_of
from quartermaster.console.report_words import catalogue, statistic
from quartermaster.console.text_columns import columns
from quartermaster.console.warning_text import feature_words
from quartermaster.exposure.backtest import Backtest
from quartermaster.exposure.warning import BANK_DAYS_MIN, TenantWarning, Warnings

_SCORE_HEAD = ("Brier", "logloss", "ECE", "AUC", "rwAUC", "cap10", "gap")


def warnings_text(found: Warnings, top: int, lang: Lang) -> str:
    """The largest expected losses, each with its alarms, its newest change and its reasons."""
    words = catalogue("warning", lang)
    count = number(len(found.tenants), lang)
    lines = [words("cli.as_of", day=day(found.as_of, lang), count=count)]
    if found.base_rate is None:
        lines.append(words("cli.no_model"))
    else:
        rows = number(found.learnt_rows, lang)
        lines.append(words("cli.learnt", rows=rows, share=_whole(found.base_rate, lang)))
    if found.false_alarms_per_year is None:
        lines.append(words("cli.no_alarms", days=number(BANK_DAYS_MIN, lang)))
    else:
        rate = number(statistic(found.false_alarms_per_year), lang, decimals=2)
        lines.append(words("cli.alarms_set", rate=rate))
    for warning in found.tenants[:top]:
        lines += ["", *_tenant(warning, words)]
    return "\n".join(lines)


def backtest_lines(result: Backtest, lang: Lang) -> list[str]:
    """The result as lines of a terminal; the names of methods and scores are the field's own."""
    words = catalogue("warning", lang)
    lines = [
        words(
            "backtest.size",
            tenants=number(result.tenants, lang),
            weeks=number(result.weeks, lang),
            origins=number(result.origins, lang),
        ),
        words(
            "backtest.rows",
            rows=number(result.rows, lang),
            share=percent(statistic(result.event_share), lang),
        ),
        words("backtest.ece", ece=_score(result.ece_calibrated_p95, lang, 4)),
        words(
            "backtest.captured",
            size=_score(result.captured_by_size, lang, 3),
            oracle=_score(result.captured_by_oracle, lang, 3),
        ),
        "",
    ]
    rows: list[tuple[str, ...]] = [(words("backtest.method"), *_SCORE_HEAD)]
    for score in result.scores:
        figures = (score.brier, score.log_loss, score.ece)
        others = (score.auc, score.revenue_auc, score.captured, score.gap_closed)
        rows.append(
            (
                score.method,
                *(_score(value, lang, 4) for value in figures),
                *("-" if value is None else _score(value, lang, 3) for value in others),
            )
        )
    return [*lines, *columns(rows, right=[False, *(True for _ in _SCORE_HEAD)])]


def record_text(facts: ReliabilityFacts, lang: Lang) -> str:
    """What we stated ourselves and what came of it, event by event."""
    words = catalogue("warning", lang)
    if not any(record.stated for record in facts.records):
        return words("cli.statements_none")
    # Our own record is never a sample's, so no word for one is needed.
    view = view_of(facts, words, words)
    parts = []
    for event, finding in zip(view.events, view.findings, strict=True):
        lines = [finding, *(f"  {sentence}" for sentence in event.sentences)]
        if event.warning:
            lines.append(f"  {event.warning}")
        if event.scores:
            head = tuple(words(f"reliability.{key}") for key in ("score", "all", "apart"))
            rows = [head, *((row.name, row.every, row.apart) for row in event.scores)]
            lines += [f"  {line}" for line in columns(rows, right=[False, True, True])]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _tenant(warning: TenantWarning, words: Words) -> list[str]:
    lang = words.lang
    chance = words("cli.no_chance")
    if warning.probability is not None:
        chance = _chance(warning.probability, lang)
    share = percent(statistic(warning.share), lang)
    lines = [words("cli.tenant", tenant=warning.tenant, chance=chance, share=share)]
    lines += [
        words(
            "cli.alarm",
            detector=alarm.detector,
            day=day(alarm.since, lang),
            score=_score(alarm.score, lang, 1),
            threshold=_score(alarm.threshold, lang, 1),
        )
        for alarm in warning.alarms
    ]
    if warning.change is not None:
        ratio = warning.change.ratio
        level = "∞" if ratio == float("inf") else _whole(ratio, lang)
        lines.append(words("cli.change", day=day(warning.change.week_from, lang), ratio=level))
    for reason in warning.reasons:
        fact = feature_words(UsageReason(reason.feature, reason.value, reason.effect), words)
        lines.append(words("cli.raises" if reason.effect > 0 else "cli.lowers", fact=fact))
    return [*lines, words("cli.visitor")] if warning.note else lines


def _chance(probability: float, lang: Lang) -> str:
    """Whole per cent, but nothing is certain: near 0 and 1 with a decimal."""
    sure = round(100 * probability) in {0, 100}
    return percent(statistic(probability), lang, decimals=1 if sure else 0)


def _whole(share: float, lang: Lang) -> str:
    return percent(statistic(share), lang, decimals=0)


def _score(value: float, lang: Lang, decimals: int) -> str:
    return number(Decimal(repr(float(value))), lang, decimals=decimals)
