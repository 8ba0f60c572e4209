"""What the customer is told of a move, in German and English, word for word.

The templates `notices.<language>.toml` say what is held against the customer, what is done, what it
can do and until when. They quote findings by kind and share, never a request, nor who reported.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from quartermaster.kernel.case import CaseFinding, MoveAsked, Notice
from quartermaster.kernel.clock import Instant, as_datetime

Lang = Literal["de", "en"]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice is made of."""

    case: str
    customer: str
    """Its name."""
    at: Instant
    asked: MoveAsked
    findings: tuple[CaseFinding, ...]
    answer_until: int | None = None
    appeal_until: int | None = None
    credits: tuple[str, ...] = ()
    """Amounts as written, such as `1200.00 USD`."""
    automatic: bool = False


def notice(told: Told) -> Notice | None:
    """The notice of a move; None for one that the customer is not told of."""
    if told.asked.move not in _words("en")["title"]:
        return None
    return Notice(de=_text(told, "de"), en=_text(told, "en"))


def kind_words(kind: str, lang: Lang) -> str:
    """A kind of finding in words; an unknown one by its name."""
    found: str = _words(lang)["kind"].get(kind, kind)
    return found


def our_reason(name: str, **places: str) -> str:
    """A reason that no person wrote, as the journal keeps it; a day is `2026-11-23`."""
    return str(_words("en")["ours"][name]).format(**places)


def in_language(reason: str, lang: Lang) -> str:
    """A reason in the reader's language where it is one of ours; what people write stays theirs."""
    for name, pattern in _ours().items():
        found = pattern.fullmatch(reason)
        if found is not None:
            places = {key: _date(value, lang) for key, value in found.groupdict().items()}
            return str(_words(lang)["ours"][name]).format(**places)
    return reason


def _text(told: Told, lang: Lang) -> str:
    words, move = _words(lang), told.asked.move
    lines = [
        words["title"][move],
        "",
        words["to"].format(customer=told.customer, day=_day(told.at, lang), case=told.case),
        "",
        words["lead"][move],
        # Our own words, in the reader's language: no person gave a reason.
        words["automatic"][move]
        if told.automatic
        else words["reason"].format(reason=told.asked.reason),
    ]
    if told.findings and move not in {"reinstate", "investigate"}:
        lines += [words["rests_on"], *(_finding(one, lang) for one in told.findings)]
    return "\n".join([*lines, *_slice(told, lang), *_remedies(told, lang)]) + "\n"


def _finding(finding: CaseFinding, lang: Lang) -> str:
    words, kind = _words(lang), kind_words(finding.kind, lang)
    if finding.kind == "reported":
        return str(
            words["reported"].format(kind=kind)
        )  # who reported is not the customer's to know
    return str(words["finding"].format(kind=kind, percent=round(100 * finding.share)))


def _slice(told: Told, lang: Lang) -> Iterator[str]:
    throttle, words = told.asked.throttle, _words(lang)
    if throttle is None:
        return
    parts = (("keys", throttle.keys), ("models", throttle.models))
    named = [
        words[name].format(names=", ".join(held))
        for name, held in (*parts, ("endpoints", throttle.endpoints))
        if held
    ]
    limits = [words["limit"][name].format(value=value) for name, value in throttle.limits.named()]
    yield words["concerned"].format(
        part="; ".join(named), limits=", ".join(limits) or words["shut"]
    )


def _remedies(told: Told, lang: Lang) -> Iterator[str]:
    words = _words(lang)
    if told.answer_until is not None:
        yield words["answer"].format(day=_day(told.answer_until, lang))
    if told.appeal_until is not None:
        yield words["appeal"].format(day=_day(told.appeal_until, lang))
    for amount in told.credits:
        yield words["credit"].format(amount=amount.replace(".", ",") if lang == "de" else amount)


def _day(at: int, lang: Lang) -> str:
    return _date(as_datetime(Instant(at)).date().isoformat(), lang)


def _date(iso: str, lang: Lang) -> str:
    """A day as it is written; anything else as it is."""
    year, _, rest = iso.partition("-")
    month, _, day = rest.partition("-")
    if not day:
        return iso
    months = _words(lang).get("months", ())
    return f"{int(day)} {months[int(month) - 1]} {year}" if months else f"{day}.{month}.{year}"


@cache
def _words(lang: Lang) -> dict[str, Any]:
    source = files("quartermaster.conduct").joinpath(f"notices.{lang}.toml")
    return tomllib.loads(source.read_text("utf-8"))


@cache
def _ours() -> dict[str, re.Pattern[str]]:
    """What the English sentences look like with their places filled in."""
    return {
        name: re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(text)))
        for name, text in _words("en")["ours"].items()
    }
