"""From slices of a tapped request to what was asked and answered, in any dialect, whole or cut.

A whole request is decoded. Of a cut one there are the head and the tail of its bytes: strings that
stand under the keys for text are picked out of them, the last of which is what was asked. What
cannot be read gives less text, never an error: it is a sample, and the meter has counted it anyway.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from quartermaster.conduct.records import Meter, Request
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.tapped import Content

SYSTEM_ROLES = frozenset({"system", "developer"})
"""Whose words stand over a conversation."""
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
"""Parts of a message that are text; pictures and sound are not read."""

_KEYED = re.compile(
    rb'"(role|content|text|input|instructions|prompt|system)"\s*:\s*(?:\[\s*)?"((?:[^"\\]|\\.)*)"?'
)
_ANSWERED = re.compile(rb'"(?:content|text|delta|reasoning_content)"\s*:\s*"((?:[^"\\]|\\.)*)"?')
_BARE = re.compile(rb'((?:[^"\\]|\\.)*)')
_HALF_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?$")

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_text = msgspec.json.Decoder(str, strict=False).decode


def request_of(content: Content) -> Request | None:
    """What was asked; None where no text of it can be read."""
    fields = _fields(content)
    if fields is None:
        system, turns = _cut(content.head, content.tail)
        fields = {}
    else:
        said = list(_said(fields))
        system = "\n".join(text for role, text in said if role in SYSTEM_ROLES)
        turns = _turns([(role, text) for role, text in said if role not in SYSTEM_ROLES])
    if not turns:
        return None
    return Request(turns, system, _meter(fields, content))


def answer_of(content: Content) -> str:
    """The beginning of what was answered."""
    return " ".join(filter(None, (_text(found) for found in _ANSWERED.findall(content.answer))))


def _fields(content: Content) -> dict[str, Any] | None:
    if content.tail:
        return None
    try:
        return _decode(content.head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _said(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Roles and texts in their order, whatever the dialect."""
    for name in ("instructions", "system"):
        if text := _plain(fields.get(name)):
            yield "system", text
    for name in ("messages", "input"):
        items = fields.get(name)
        if isinstance(items, str):
            yield "user", items
            continue
        for item in items if isinstance(items, list) else ():
            if isinstance(item, str):
                yield "user", item
            elif isinstance(item, dict) and (text := _plain(item.get("content"))):
                yield str(item.get("role", "user")), text
    prompt = fields.get("prompt")
    for one in prompt if isinstance(prompt, list) else (prompt,):
        if isinstance(one, str) and one:
            yield "user", one


def _plain(value: object) -> str:
    """The text of a message, be it a string or a list of parts."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    parts = []
    for part in value:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, dict) and part.get("type", "text") in TEXT_PARTS:
            text = part.get("text")
            parts.append(text if isinstance(text, str) else "")
    return "\n".join(filter(None, parts))


def _turns(said: list[tuple[str, str]]) -> tuple[str, ...]:
    """Turns up to the last one that a user asks; an answer begun for the model is not asked."""
    last = max((at for at, (role, _) in enumerate(said) if role == "user"), default=len(said) - 1)
    return tuple(text for _, text in said[: last + 1])


def _meter(fields: dict[str, Any], content: Content) -> Meter:
    at = as_datetime(Instant(content.at))
    midnight = datetime(at.year, at.month, at.day, tzinfo=UTC)
    most = next((fields[name] for name in _MOST if isinstance(fields.get(name), int)), None)
    heat, many, logprobs = fields.get("temperature"), fields.get("n"), fields.get("logprobs")
    return Meter(
        n=many if isinstance(many, int) else None,
        temperature=_number(heat),
        max_tokens=most,
        logprobs=bool(logprobs) if logprobs is not None else None,
        end_user=_end_user(fields),
        key=content.key_id,
        network=content.network or None,
        client=content.client or None,
        model=content.model,
        second_of_day=int((at - midnight).total_seconds()),
    )


def _number(value: object) -> float | None:
    """A number of the request; one that no float can hold is none, like a word in its place."""
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None


_MOST = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def _end_user(fields: dict[str, Any]) -> str | None:
    metadata = fields.get("metadata")
    inner = metadata.get("user_id") if isinstance(metadata, dict) else None
    for name in (fields.get("safety_identifier"), fields.get("user"), inner):
        if isinstance(name, str) and name:
            return name
    return None


def _cut(head: bytes, tail: bytes) -> tuple[str, tuple[str, ...]]:
    """System prompt and turns of a request of which the middle is missing."""
    system, first = [], []
    role = ""
    for key, value in _KEYED.findall(head):
        text = _text(value)
        if key == b"role":
            role = text
        elif key in (b"system", b"instructions") or role in SYSTEM_ROLES:
            system.append(text)
        else:
            first.append(text)
    found = _KEYED.findall(tail)
    last = [_text(value) for key, value in found if key != b"role"]
    if not last:
        # The tail is the end of one long text, whose beginning is the last one in the head.
        match = _BARE.match(tail)
        ending = _text(match.group(1)) if match else ""
        begun = first.pop() if first else ""
        last = [f"{begun} {ending}".strip()]
    return "\n".join(system), tuple(filter(None, (*first, *last)))


def _text(escaped: bytes) -> str:
    """A piece of a JSON string, cut anywhere."""
    whole = _HALF_ESCAPE.sub(b"", escaped).decode("utf-8", "ignore")
    try:
        return _decode_text(f'"{whole}"'.encode())
    except (msgspec.DecodeError, UnicodeError):
        return whole
