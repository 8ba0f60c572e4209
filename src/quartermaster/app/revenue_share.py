"""How much of revenue is a customer group, as last rated? For who decides on its standing."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

from quartermaster.app import live
from quartermaster.commands.standing import NO_REVENUE, RevenueShare
from quartermaster.kernel.errors import IntegrityError

MONTHS_MAX = 12
"""A year: one month's peak or holiday says little about what a customer is worth."""

_PLACES = Decimal("0.000001")


def revenue_share(var: Path, group: str) -> RevenueShare:
    """The group's share of the newest twelve months, in the currency in which it is largest.

    It is not known where the clerk has not rated anything yet, or what it wrote cannot be read:
    a suspension must not fail because a derived file is damaged.
    """
    try:
        book = live.read(var)
    except IntegrityError:
        return RevenueShare()
    if book is None:
        return RevenueShare()
    months = sorted({row.month for row in book.revenue})[-MONTHS_MAX:]
    total: Counter[str] = Counter()
    own: Counter[str] = Counter()
    for row in book.revenue:
        if row.month in months:
            total[row.currency] += row.minor
            own[row.currency] += row.minor if row.group == group else 0
    shares = [
        (Decimal(own[currency]) / Decimal(minor), currency)
        for currency, minor in total.items()
        if minor > 0
    ]
    if not shares:
        return RevenueShare(Decimal(0), NO_REVENUE)
    share, currency = max(shares)
    return RevenueShare(share.quantize(_PLACES), f"{currency}, {months[0]} to {months[-1]}")
