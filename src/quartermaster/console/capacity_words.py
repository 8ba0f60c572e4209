"""Words that the capacity page and `quartermaster capacity` share: hours, parts, remarks, names."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from quartermaster.capacity.cost import decimal
from quartermaster.capacity.demand import BACKFILL
from quartermaster.capacity.roofline import COLD_START_ERROR
from quartermaster.capacity.series import OTHERS, Stack
from quartermaster.capacity.statement import Remark, Statement
from quartermaster.console.figures_capacity import CapacityStack, CapacityWords, from_series
from quartermaster.console.format import Lang, money, number, percent
from quartermaster.console.language import Words
from quartermaster.console.ports_capacity import Owed
from quartermaster.kernel.clock import US_PER_HOUR, Instant, as_datetime
from quartermaster.kernel.money import Money


def figure_words(words: Words) -> CapacityWords:
    """What the parts of the stack are called."""
    return CapacityWords(
        reserved_idle=words("hours.reserved_idle"),
        idle=words("hours.idle"),
        stranded=words("hours.stranded"),
        provisioned=words("hours.provisioned"),
        axis=words("hours.axis"),
    )


def layered(
    series: Stack, names: dict[str, str], words: Words, *, after_departure: bool
) -> CapacityStack:
    """The stack with the customers' names on its layers."""
    drawn = from_series(series, after_departure=after_departure)
    ours = {OTHERS: words("hours.others"), BACKFILL: words("hours.backfill")}
    return msgspec.structs.replace(
        drawn,
        layers=tuple(
            msgspec.structs.replace(
                layer, label=ours.get(layer.label) or names.get(layer.label, layer.label)
            )
            for layer in drawn.layers
        ),
    )


def name_of(customer: str, names: dict[str, str], words: Words) -> str:
    """A customer of a statement, who may be whoever uses what a leaver freed."""
    return words("hours.backfill") if customer == BACKFILL else names.get(customer, customer)


def remark_words(remark: Remark, names: dict[str, str], words: Words) -> str:
    """Something to know about a statement, in the reader's language."""
    places = dict(remark.places) | cold_start(words.lang)
    if "customer" in places:
        places["customer"] = names.get(places["customer"], places["customer"])
    if "tokens" in places:
        places["tokens"] = number(int(places["tokens"]), words.lang)
    if "percent" in places:
        places["percent"] = percent(Decimal(places["percent"]).scaleb(-2), words.lang)
    return words(f"remark.{remark.key}", **places)


def cold_start(lang: Lang) -> dict[str, str]:
    """The stated error where nothing was measured."""
    return {
        "prefill": percent(Decimal(str(COLD_START_ERROR.prefill)), lang, decimals=0),
        "decode": percent(Decimal(str(COLD_START_ERROR.decode)), lang, decimals=0),
    }


def part_of(us: int, whole: int, lang: Lang) -> str:
    """A part of all hours, with one decimal."""
    return percent(decimal(Fraction(us, whole or 1)), lang)


def span_places(statement: Statement, lang: Lang) -> dict[str, str]:
    """First hour, end and number of hours, as they are written."""
    first = as_datetime(Instant(statement.first_hour))
    end = as_datetime(Instant(statement.first_hour + statement.hours * US_PER_HOUR))
    return {
        "first": f"{first:%Y-%m-%d %H:%M}",
        "end": f"{end:%Y-%m-%d %H:%M}",
        "last": f"{end:%Y-%m-%d %H:%M}",
        "hours": number(statement.hours, lang),
    }


def beside_revenue(
    elsewhere: Sequence[tuple[str, Money]], owed: Owed | None, names: dict[str, str], words: Words
) -> list[str]:
    """What revenue, margins and payback leave out: other currencies, and what is still owed.

    Args:
        elsewhere: group and what it pays in another currency than the fleet's.
        owed: what the group that may go still owes.
        names: of groups by id.
        words: of the capacity page.
    """
    found = []
    if elsewhere:
        amounts = ", ".join(
            words(
                "page.elsewhere_one",
                amount=money(amount, words.lang),
                name=names.get(group, group),
            )
            for group, amount in elsewhere
        )
        found.append(words("page.elsewhere", amounts=amounts))
    if owed is not None:
        found.append(
            words(
                "page.owed",
                name=names.get(owed.group, owed.group),
                amount=money(owed.amount, words.lang),
                months=number(owed.months, words.lang),
            )
        )
    return found
