"""The forecast with and without one customer, as the exposure page shows it."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from quartermaster.app.forecast_book import floors_of
from quartermaster.app.live import Owed
from quartermaster.app.owed import floors_from, joined
from quartermaster.console import ports_exposure as ports
from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.rows import RevenueRow
from quartermaster.revenue import forecast
from quartermaster.revenue.judged import Fan, Point
from quartermaster.stats.forecast import ORIGIN_MIN

MONTHS_AHEAD = 12
"""A year, whatever the horizon of the loss: few books have longer windows behind them to measure
an interval on."""
MONTHS_MIN = ORIGIN_MIN
"""What a forecast starts from."""


def closed_rows(rows: Sequence[RevenueRow], open_from: str) -> tuple[RevenueRow, ...]:
    """Rows of months that are over; all where none is open."""
    return tuple(row for row in rows if not open_from or row.month < open_from)


def fan_of(
    rows: Sequence[RevenueRow], customer: str, owed: Sequence[Owed] = ()
) -> ports.Fan | None:
    """The forecast, or None with fewer than `MONTHS_MIN` months.

    Args:
        rows: of closed months, at least one.
        customer: the group to leave out.
        owed: what commitments of the book ask for, in the rows' currency.
    """
    first = min(month_number(row.month) for row in rows)
    last = max(month_number(row.month) for row in rows)
    if last - first + 1 < MONTHS_MIN:
        return None
    series: dict[str, list[int]] = defaultdict(lambda: [0] * (last - first + 1))
    for row in rows:
        series[row.group][month_number(row.month) - first] += row.steady
    floors = joined(floors_of(rows, first), floors_from(owed, first), series)
    found = forecast.forecast(series, steps=MONTHS_AHEAD, without=customer, floors=floors)
    assert found.without is not None, "the customer is one of the series"
    totals = [sum(month) for month in zip(*series.values(), strict=True)]
    coverage = found.whole.coverage
    return ports.Fan(
        known=tuple(
            (month_text(first + at), total, total - gone)
            for at, (total, gone) in enumerate(zip(totals, series[customer], strict=True))
        ),
        months=tuple(month_text(last + step) for step in range(1, MONTHS_AHEAD + 1)),
        whole=_months(found.whole),
        without=_months(found.without),
        whole_total=_month(found.whole.total),
        without_total=_month(found.without.total),
        level=Decimal(str(found.level)),
        held=None if coverage is None else coverage.hits,
        checked=0 if coverage is None else coverage.windows,
        owed_minor=found.without.owed,
    )


def _months(fan: Fan) -> tuple[ports.FanMonth, ...]:
    return tuple(_month(point) for point in fan.points)


def _month(point: Point) -> ports.FanMonth:
    return ports.FanMonth(
        minor=point.minor, low=point.low, high=point.high, measured=point.measured
    )
