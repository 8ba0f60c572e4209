"""A seller's revenue as gapless series by customer: what forecasts and suggestions start from."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from quartermaster.kernel.money import Money
from quartermaster.revenue.floors import Floors
from quartermaster.revenue.forecast import Forecast
from quartermaster.revenue.judged import Coverage, Fan, Point
from quartermaster.revenue.suggest import Suggestion

SCHEMA = "quartermaster.forecast/1"
SCHEMA_SUGGEST = "quartermaster.guidance-suggestion/1"


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units by customer group and month, where they came from, and the months ahead."""

    series: Mapping[str, Sequence[int]]
    months: tuple[str, ...]
    """`YYYY-MM`, gapless, oldest first."""
    ahead: tuple[str, ...]
    currency: str
    name: str
    sha256: str
    """Of the rows, so that the same data in another file is the same."""
    sample: bool
    missing: tuple[str, ...] = ()
    """Months without a single row: counted as zero, and said."""
    floors: Floors = msgspec.field(default_factory=dict)
    """What customers owe at least; periods are counted from the first of `months`."""

    @property
    def totals(self) -> list[int]:
        """All customers by month."""
        return [sum(month) for month in zip(*self.series.values(), strict=True)]


def forecast_document(book: Book, found: Forecast) -> dict[str, object]:
    """The forecast as one JSON object; amounts are decimal strings in major units."""
    fans = [found.whole, *([found.without] if found.without else [])]
    return {
        "schema": SCHEMA,
        **_origin(book),
        "method": found.method,
        "level": found.level,
        "origins": found.origins,
        "history": [
            {"month": month, "amount": _major(minor, book.currency)}
            for month, minor in zip(book.months, book.totals, strict=True)
        ],
        "commitments": _commitments(book),
        "all": _fan(book, found.whole),
        "without": None
        if found.without is None
        else {"customer": found.without.name, **_fan(book, fans[-1])},
        "customers": [{"customer": fan.name, **_fan(book, fan)} for fan in found.parts],
    }


def suggestion_document(book: Book, found: Suggestion) -> dict[str, object]:
    """The suggestion as one JSON object; amounts are decimal strings in major units."""
    replayed = found.replayed
    return {
        "schema": SCHEMA_SUGGEST,
        **_origin(book),
        "metric": "revenue",
        "basis": "reported",
        "period": f"{book.ahead[0]}/{book.ahead[-1]}",
        "low": _major(found.low, book.currency),
        "high": _major(found.high, book.currency),
        "forecast": _major(found.forecast, book.currency),
        "chance_of_miss": found.miss_chance,
        "chance_of_beat": found.beat_chance,
        "past_windows": found.windows,
        "track_record": None
        if replayed is None
        else {
            "suggestions": replayed.chances.count,
            "bias": float(replayed.errors.bias),
            "mean_absolute_error": float(replayed.errors.mean_absolute),
            "mean_absolute_error_bias_corrected": None
            if replayed.errors.corrected is None
            else float(replayed.errors.corrected),
            "misses": replayed.chances.misses,
            "misses_expected": float(replayed.chances.expected),
            "brier": float(replayed.chances.brier),
            "miss_rate": _coverage(replayed.misses),
        },
    }


def _origin(book: Book) -> dict[str, object]:
    return {
        "input": {"name": book.name, "data_sha256": book.sha256},
        "sample": book.sample,
        "currency": book.currency,
        "first": book.months[0],
        "last": book.months[-1],
        "missing_months": list(book.missing),
    }


def _commitments(book: Book) -> list[dict[str, object]]:
    """What binds in a month ahead; months are the first and the last one that are bound."""
    begins, ends = len(book.months), len(book.months) + len(book.ahead) - 1
    return [
        {
            "customer": name,
            "least_a_month": _major(floor.minor, book.currency),
            "first": book.ahead[max(floor.first, begins) - begins],
            "last": book.ahead[min(floor.last, ends) - begins],
            "ends_later": floor.last > ends,
        }
        for name, floors in sorted(book.floors.items())
        for floor in floors
        if floor.minor and floor.last >= begins and floor.first <= ends
    ]


def _fan(book: Book, fan: Fan) -> dict[str, object]:
    return {
        "months": [
            {"month": month, **_point(point, book.currency)}
            for month, point in zip(book.ahead, fan.points, strict=True)
        ],
        "sum": _point(fan.total, book.currency),
        "commitments_add": _major(fan.topped_up, book.currency),
        "still_owed": _major(fan.owed, book.currency),
        "coverage": None if fan.coverage is None else _coverage(fan.coverage),
    }


def _point(point: Point, currency: str) -> dict[str, object]:
    return {
        "amount": _major(point.minor, currency),
        "low": None if point.low is None else _major(point.low, currency),
        "high": None if point.high is None else _major(point.high, currency),
        "interval_measured": point.measured,
    }


def _coverage(found: Coverage) -> dict[str, object]:
    return {
        "hits": found.hits,
        "windows": found.windows,
        "rate": found.rate,
        "bootstrap_low": found.low,
        "bootstrap_high": found.high,
        "block": found.block,
        "seed": found.seed,
    }


def _major(minor: int, currency: str) -> str:
    amount: Decimal = Money(minor, currency).decimal
    return str(amount)
