"""Provisioned units: units times the hours for which they stand ready, used or not.

Hours are UTC durations: the month of a daylight-saving change has an hour more or less than its
calendar says. What is owed follows from the contract alone, and accrues as the hours pass.
"""

from collections import defaultdict
from collections.abc import Sequence

from quartermaster.billing.rate import Rated, RatedLine
from quartermaster.kernel.clock import US_PER_HOUR, Period
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.price import Price


def with_provisioned(
    rated: Rated, versions: Sequence[Contract], period: Period, *, until: int | None = None
) -> Rated:
    """What was rated, and the provisioned hours of one contract in one period.

    Args:
        rated: usage of the period.
        versions: all versions of the contract, in ascending order; each holds until the next.
        period: a local month in the contract's time zone.
        until: hours that end later are left out; None takes the whole period.
    """
    hours: dict[tuple[str, str], int] = defaultdict(int)
    for version, following in zip(versions, [*versions[1:], None], strict=True):
        ends = [period.end if until is None else min(period.end, until)]
        ends += [] if version.end is None else [version.end]
        ends += [] if following is None else [following.valid_from]
        for line in version.ptu_lines:
            begin = max(period.start, version.valid_from, line.start)
            lasting_us = min(*ends, line.end) - begin
            if lasting_us > 0:
                # Contracts, their versions and their lines begin and end on full hours.
                unit_hours = line.units * (lasting_us // US_PER_HOUR)
                hours[line.model, line.price_per_ptu_hour] += unit_hours
    lines = tuple(
        _line(versions[-1], period, model, price, hours[model, price])
        for model, price in sorted(hours)
    )
    return Rated(rated.lines + lines, rated.unpriced)


def _line(contract: Contract, period: Period, model: str, price: str, unit_hours: int) -> RatedLine:
    return RatedLine(
        contract=contract.id,
        customer=contract.customer,
        period=period,
        model=model,
        service_class="provisioned",
        axis="ptu_hour",
        quantity=unit_hours,
        price=price,
        unit="1_ptu_hour",
        currency=contract.currency,
        amount=Price(model, "input", price, "1_ptu_hour", "provisioned").of(unit_hours),
        # The price stands in the contract, in no price book.
        price_book="",
        price_book_versions=(),
        sample=contract.sample,
    )
