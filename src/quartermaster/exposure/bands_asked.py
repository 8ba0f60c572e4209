"""The bands that groups reach: by rules of a file, by what was said over it, or by the defaults."""

import msgspec

from quartermaster.exposure.bands import BandRules, Bands, assess
from quartermaster.exposure.bands_file import absorbing_of, edges_of
from quartermaster.exposure.rollup import Exposure
from quartermaster.kernel.errors import UsageError


class BandsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What was said about bands; empty is as in the file, or as the product ships them."""

    report_at: str = ""
    breach_at: str = ""
    absorbing: str = ""
    absorbing_name: str = ""


def banded(exposure: Exposure, asked: BandsAsked, rules: BandRules) -> Bands:
    """The bands of an exposure.

    Args:
        exposure: of customers.
        asked: goes before the rules.
        rules: of a file, or the defaults.

    Raises:
        DataError: the rules do not fit the revenue.
        UsageError: something asked for is not what it should be.
    """
    edges = edges_of(asked.report_at, asked.breach_at, rules.edges)
    absorbing = rules.absorbing
    if bool(asked.absorbing) != bool(asked.absorbing_name):
        raise UsageError(
            "what absorbs a loss needs an amount and a name",
            hint='such as 300000000 and "contribution margin of 2024"',
            field="absorbing_name" if asked.absorbing else "absorbing",
        )
    if asked.absorbing:
        currency = exposure.denominator.currency
        absorbing = absorbing_of(asked.absorbing_name, asked.absorbing, currency, edges)
    elif absorbing is not None and (asked.report_at or asked.breach_at):
        absorbing = msgspec.structs.replace(absorbing, edges=edges)
    return assess(exposure, BandRules(edges, absorbing, rules.plans))
