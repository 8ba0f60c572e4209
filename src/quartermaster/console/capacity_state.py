"""The capacity page's state is its address: what may stand there, and the same state as a query."""

import re
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlencode

from quartermaster.console.language import Words
from quartermaster.console.number_field import TEXT_CHARS_MAX
from quartermaster.console.ports_capacity import CapacityQuestion
from quartermaster.kernel.errors import UsageError

FIELDS = ("month", "customer", "backfill", "contribution")
OTHER_NAMES = ("format", "table", "lang")
PERCENT_MAX = 100
"""All of what a leaver used; more would be growth, not backfill."""

_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])", re.ASCII)
_WHOLE = re.compile(r"\d{1,3}", re.ASCII)
_SHARE = re.compile(r"\d{1,3}(?:\.\d{1,6})?%?", re.ASCII)


def question_of(query: Mapping[str, str], words: Words) -> CapacityQuestion:
    """What the address asks; an empty field is as if it were not there.

    Raises:
        UsageError: names the field, what it holds, and what it may hold.
    """
    allowed = (*FIELDS, *OTHER_NAMES)
    for name in query:
        if name not in allowed:
            raise UsageError(
                words("refusal.unknown", field=name[:TEXT_CHARS_MAX]),
                hint=words("refusal.unknown_hint", fields=", ".join(allowed)),
                field=name,
            )
    month = query.get("month", "")
    if month and not _MONTH.fullmatch(month):
        raise refused("month", month, words)
    return CapacityQuestion(
        month=month,
        customer=query.get("customer", ""),
        backfill_percent=_percent(query.get("backfill", ""), words),
        contribution=_contribution(query.get("contribution", "").strip(), words),
    )


def query_of(question: CapacityQuestion, **more: str) -> str:
    """The whole state as a query."""
    state = {
        "month": question.month,
        "customer": question.customer,
        "backfill": str(question.backfill_percent),
    }
    if question.contribution is not None:
        state["contribution"] = f"{question.contribution:f}"
    return urlencode(state | more)


def refused(field: str, value: str, words: Words) -> UsageError:
    """What may not stand in a field, in the reader's words."""
    return UsageError(
        words(f"refusal.{field}", value=value[:TEXT_CHARS_MAX]),
        hint=words(f"refusal.{field}_hint"),
        field=field,
    )


def _percent(text: str, words: Words) -> int:
    if not text:
        return 0
    if not _WHOLE.fullmatch(text) or int(text) > PERCENT_MAX:
        raise refused("backfill", text, words)
    return int(text)


def _contribution(text: str, words: Words) -> Decimal | None:
    if not text:
        return None
    if not _SHARE.fullmatch(text):
        raise refused("contribution", text, words)
    value = Decimal(text.rstrip("%"))
    value = value.scaleb(-2) if text.endswith("%") else value
    if not 0 < value <= 1:
        raise refused("contribution", text, words)
    return value
