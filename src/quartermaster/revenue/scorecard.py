"""Every promise with its verdict, and the track record of those that could be scored."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import msgspec

from quartermaster.revenue.guidance import SCORED, Outcome, Verdict, score
from quartermaster.revenue.guidance_rows import Promise
from quartermaster.revenue.track_record import Chances, Errors, errors, stated_chances

SCHEMA = "quartermaster.guidance-score/1"


class Entry(msgspec.Struct, frozen=True):
    """A promise and how it turned out."""

    promise: Promise
    verdict: Verdict


class Record(msgspec.Struct, frozen=True):
    """The track record of one metric in one unit: errors of different units do not add up."""

    metric: str
    unit: str
    errors: Errors


class Scorecard(msgspec.Struct, frozen=True):
    """All verdicts in the order of the file."""

    entries: tuple[Entry, ...]
    records: tuple[Record, ...]
    chances: Chances | None
    """Of the chances of a miss that were stated; None where none was."""

    @property
    def counts(self) -> Counter[Outcome]:
        """Verdicts by outcome."""
        return Counter(entry.verdict.outcome for entry in self.entries)


def scorecard(promises: Sequence[Promise]) -> Scorecard:
    """Score every promise.

    Raises:
        UsageError: a bound or a value is not a decimal.
    """
    entries = tuple(Entry(p, score(p.guidance, p.actual)) for p in promises)
    scored = [entry for entry in entries if entry.verdict.outcome in SCORED]
    pairs: dict[tuple[str, str], list[tuple[Fraction, Fraction]]] = {}
    for entry in scored:
        figure, actual = entry.promise.guidance.figure, entry.promise.actual
        assert actual is not None, "a scored promise has come in"
        middle = entry.promise.guidance.interval.middle
        pairs.setdefault((figure.metric, figure.unit), []).append((middle, actual.number))
    return Scorecard(
        entries,
        tuple(Record(metric, unit, errors(found)) for (metric, unit), found in pairs.items()),
        stated_chances([(entry.promise.guidance, entry.verdict) for entry in scored]),
    )


def document(card: Scorecard, name: str) -> dict[str, object]:
    """The scorecard as one JSON object; figures are strings as they were said."""
    return {
        "schema": SCHEMA,
        "input": {"name": name},
        "counts": dict(sorted(card.counts.items())),
        "track_record": [
            {
                "metric": record.metric,
                "unit": record.unit,
                "scored": record.errors.count,
                "bias": float(record.errors.bias),
                "mean_absolute_error": float(record.errors.mean_absolute),
                "mean_absolute_error_bias_corrected": None
                if record.errors.corrected is None
                else float(record.errors.corrected),
            }
            for record in card.records
        ],
        "stated_chances": None
        if card.chances is None
        else {
            "scored": card.chances.count,
            "misses": card.chances.misses,
            "misses_expected": float(card.chances.expected),
            "brier": float(card.chances.brier),
        },
        "guidance": [_entry(entry) for entry in card.entries],
    }


def _entry(entry: Entry) -> dict[str, object]:
    guidance, actual = entry.promise.guidance, entry.promise.actual
    return {
        "line": entry.promise.line,
        "verdict": entry.verdict.outcome,
        "reasons": list(entry.verdict.reasons),
        "inferred": guidance.inferred,
        "guidance": msgspec.to_builtins(guidance),
        "actual": None if actual is None else msgspec.to_builtins(actual),
    }
