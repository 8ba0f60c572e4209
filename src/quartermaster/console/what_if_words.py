"""What a change is, in a sentence of the reader's language, and the numbers in it."""

from collections.abc import Mapping
from decimal import Decimal

from quartermaster.console.exposure_loss import rate
from quartermaster.console.format import Lang, money_short, number, percent
from quartermaster.console.language import Words
from quartermaster.kernel.money import Money

_TENTH = Decimal("0.1")


def change_words(key: str, who: str, figures: Mapping[str, Decimal], words: Words) -> str:
    """The change that `key` names, with its figures written as they are read.

    Args:
        key: of the table `change`.
        who: name of the customer.
        figures: as `exposure.risk_levers.Change` has them.
        words: the catalogue `what_if`.
    """
    lang = words.lang
    places = {name: _written(key, name, value, lang) for name, value in figures.items()}
    return words(f"change.{key}", name=who, **places)


def _written(key: str, name: str, value: Decimal, lang: Lang) -> str:
    if name in {"share", "discount"}:
        return part(value, lang)
    if name == "change":
        return ("+" if value > 0 else "") + part(value, lang)
    if name == "hazard" or (key == "hazard" and name == "today"):
        return rate(value, lang)
    return plain(value, lang)


def part(share: Decimal, lang: Lang) -> str:
    """A share or a change as a percentage, with a decimal where it is needed."""
    tenths = share.scaleb(2).quantize(_TENTH)
    return percent(share, lang, decimals=0 if tenths == tenths.to_integral_value() else 1)


def plain(value: Decimal, lang: Lang) -> str:
    """A number of months or an elasticity, with at most two decimals."""
    short = value.quantize(Decimal("0.01")).normalize()
    return number(short, lang, decimals=max(0, -int(short.as_tuple().exponent)))


def moved(minor: int, currency: str, lang: Lang) -> str:
    """A difference with its sign."""
    return ("+" if minor > 0 else "") + money_short(Money(minor, currency), lang)
