"""The exposure report of monthly rows: shares, and the run-rates of the months up to them."""

from collections.abc import Sequence

from quartermaster.exposure.history import share_history
from quartermaster.exposure.report import ControlFacts, InputFile, Peak, Report, RunRateLine
from quartermaster.exposure.rollup import Exposure, monthly_totals
from quartermaster.exposure.rows import RevenueRow
from quartermaster.revenue.run_rate import PEAK_RATIO_MAX, run_rates


def revenue_report(
    rows: Sequence[RevenueRow],
    exposure: Exposure,
    *,
    title: str,
    source: InputFile | None,
    control: ControlFacts | None = None,
) -> Report:
    """The report of a window of months.

    Args:
        rows: under the control that counts.
        exposure: of the window that shares are of.
        title: of the report.
        source: the file it came from.
        control: by whose control entities were rolled up.
    """
    last, months = exposure.denominator.last, exposure.denominator.months
    totals = monthly_totals(row for row in rows if row.month <= last)
    rates = run_rates(totals, exposure.denominator.currency)
    lines = [] if rates is None else [rates.last_month, rates.trailing]
    return Report(
        title=title,
        exposure=exposure,
        run_rates=tuple(
            RunRateLine(
                method=line.method, minor=line.minor, currency=line.currency, months=line.months
            )
            for line in lines
            if line is not None
        ),
        peak=None
        if rates is None
        else Peak(rates.peak_ratio, float(PEAK_RATIO_MAX), rates.is_peak),
        input=source,
        history=share_history(rows, months=months, last=last, by=exposure.by),
        control=control,
    )
