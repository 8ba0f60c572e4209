"""Verdicts on guidance, and a suggestion with its track record, in words: German and English."""

from decimal import Decimal
from fractions import Fraction

from quartermaster.console.forecast_text import span
from quartermaster.console.format import Lang, money_compact, money_range, month, number, percent
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue
from quartermaster.console.text_columns import columns
from quartermaster.kernel.money import EXACT, Money
from quartermaster.revenue.book import Book
from quartermaster.revenue.guidance import SCORED, Figure
from quartermaster.revenue.scorecard import Entry, Scorecard
from quartermaster.revenue.suggest import Suggestion
from quartermaster.revenue.track_record import Errors

_INFERRED = "*"
_POINTS_SHOWN = 2


def score_text(card: Scorecard, lang: Lang) -> str:
    """Every verdict, their count, and the track record."""
    words = catalogue("guidance", lang)
    head = tuple(words(key) for key in ("period", "metric", "guided", "came", "verdict"))
    rows = [head, *(_row(entry, words, lang) for entry in card.entries)]
    lines = columns(rows, right=[False] * len(head))
    if any(entry.promise.guidance.inferred for entry in card.entries):
        lines.append(f"{_INFERRED} {words('inferred')}")
    return "\n".join([*lines, "", *_record(card, words, lang)])


def verdict_rows(card: Scorecard, lang: Lang) -> tuple[tuple[str, ...], ...]:
    """Every verdict as cells: period, metric, what was guided, what came, verdict."""
    words = catalogue("guidance", lang)
    return tuple(_row(entry, words, lang) for entry in card.entries)


def record_lines(card: Scorecard, lang: Lang) -> list[str]:
    """How many of each verdict, and the track record, in sentences."""
    return _record(card, catalogue("guidance", lang), lang)


def suggestion_text(book: Book, found: Suggestion, lang: Lang) -> str:
    """The range, its chances, and how such ranges would have done."""
    words = catalogue("guidance", lang)
    low, high = Money(found.low, book.currency), Money(found.high, book.currency)
    lines = [words("sample")] if book.sample else []
    if book.missing:
        lines.append(words("missing", months=", ".join(month(m, lang) for m in book.missing)))
    lines += [
        words(
            "range",
            span=span(book, words, lang),
            range=money_range(low, high, lang),
        ),
        words(
            "stated",
            miss=_part(found.miss_chance, lang),
            beat=_part(found.beat_chance, lang),
            windows=number(found.windows, lang),
            forecast=money_compact(Money(found.forecast, book.currency), lang, decimals=2),
        ),
    ]
    return "\n".join([*lines, *_replay(found, words, lang)])


def _replay(found: Suggestion, words: Words, lang: Lang) -> list[str]:
    replayed = found.replayed
    if replayed is None:
        return [words("replay_none")]
    misses = replayed.misses
    lines = [
        words(
            "replay",
            count=number(replayed.chances.count, lang),
            misses=number(replayed.chances.misses, lang),
            expected=_decimal(replayed.chances.expected, lang),
            rate=_part(misses.rate, lang),
            block=number(misses.block, lang),
            low=_part(misses.low, lang),
            high=_part(misses.high, lang),
        ),
        words(
            "replay_errors",
            bias=_percent(replayed.errors.bias, lang),
            error=_percent(replayed.errors.mean_absolute, lang),
            corrected=_corrected(replayed.errors, words, lang, parts=True),
        ),
    ]
    # A record of no misses at all has no width; it is no reason to distrust a cautious range.
    if misses.low > found.miss_chance:
        lines.append(words("bad_record"))
    return lines


def _row(entry: Entry, words: Words, lang: Lang) -> tuple[str, str, str, str, str]:
    guidance, actual = entry.promise.guidance, entry.promise.actual
    figure = guidance.figure
    bounds = guidance.low if guidance.low == guidance.high else f"{guidance.low}–{guidance.high}"
    mark = f" {_INFERRED}" if guidance.inferred else ""
    came = words("nothing")
    if actual is not None:
        came = f"{_said(actual.value, actual.figure, words, lang)}"
    reasons = ", ".join(words(f"reasons.{reason}") for reason in entry.verdict.reasons)
    outcome = entry.verdict.outcome
    verdict = (
        words("verdicts.not_comparable", reasons=reasons)
        if outcome == "not_comparable"
        else words(f"verdicts.{outcome}")
    )
    said = _said(bounds, figure, words, lang) + mark
    return figure.period, f"{figure.metric} {figure.metric_version}", said, came, verdict


def _said(value: str, figure: Figure, words: Words, lang: Lang) -> str:
    text = value.replace(".", ",") if lang == "de" else value
    return f"{text} {figure.unit} {words(f'bases.{figure.basis}')}"


def _record(card: Scorecard, words: Words, lang: Lang) -> list[str]:
    counts = card.counts
    scored = [outcome for outcome in SCORED if counts[outcome]]
    lines = [
        words(
            "counts",
            scored=number(sum(counts[outcome] for outcome in scored), lang),
            words=", ".join(
                f"{number(counts[outcome], lang)} {words(f'verdicts.{outcome}')}"
                for outcome in scored
            )
            or "0",
            refused=number(counts["not_comparable"], lang),
            pending=number(counts["pending"], lang),
        )
    ]
    lines += [
        words(
            "record",
            metric=record.metric,
            unit=record.unit,
            bias=_decimal(record.errors.bias, lang),
            error=_decimal(record.errors.mean_absolute, lang),
            corrected=_corrected(record.errors, words, lang, parts=False),
        )
        for record in card.records
    ]
    if card.chances is not None:
        lines.append(
            words(
                "chances",
                count=number(card.chances.count, lang),
                expected=_decimal(card.chances.expected, lang),
                misses=number(card.chances.misses, lang),
                brier=_decimal(card.chances.brier, lang),
            )
        )
    return lines


def _corrected(errors: Errors, words: Words, lang: Lang, *, parts: bool) -> str:
    if errors.corrected is None:
        return words("uncorrected")
    value = _percent(errors.corrected, lang) if parts else _decimal(errors.corrected, lang)
    return words("corrected", value=value)


def _exact(value: Fraction) -> Decimal:
    return EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _decimal(value: Fraction, lang: Lang) -> str:
    return number(_exact(value), lang, decimals=_POINTS_SHOWN)


def _percent(value: Fraction, lang: Lang) -> str:
    return percent(_exact(value.limit_denominator(10**12)), lang)


def _part(rate: float, lang: Lang) -> str:
    return percent(Decimal(str(round(rate, 4))), lang, decimals=0)
