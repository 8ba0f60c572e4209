"""What the meter reads of a whole answer, by the operation that the upstream was asked for."""

from collections.abc import Callable
from typing import Final

import msgspec

from quartermaster.gateway import wire
from quartermaster.gateway.dialects import usage
from quartermaster.gateway.dialects.body import ABSENT, EMPTY, UNREADABLE
from quartermaster.gateway.dialects.routes import Operation
from quartermaster.gateway.dialects.usage import Reading
from quartermaster.kernel.units import COUNT_MAX, Counts


class Facts(msgspec.Struct, frozen=True, gc=False):
    """One answer, as far as it is metered."""

    usage: bytes = b""
    """The upstream's usage object as it came."""
    reading: Reading = Reading(None, "usage_absent")
    finish_reason: str = ""
    upstream_id: str = ""
    text_bytes: int = 0
    """Bytes of what was answered, for an estimate where nobody counted."""
    failed: bool = False
    """An error under a status of success."""


class _Body(msgspec.Struct, gc=False):
    id: msgspec.Raw = ABSENT
    type: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    choices: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    output: msgspec.Raw = ABSENT
    data: msgspec.Raw = ABSENT
    stop_reason: msgspec.Raw = ABSENT
    status: msgspec.Raw = ABSENT


_decode = msgspec.json.Decoder(_Body).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
# A request of these operations is metered as one request; its answer tells no tokens.
UNCOUNTED: Final[frozenset[Operation]] = frozenset(
    ("moderations", "audio.speech", "audio.transcriptions", "audio.translations")
)


def _text(raw: msgspec.Raw) -> str:
    """A string, or empty where the upstream sent something else."""
    if bytes(raw) in EMPTY:
        return ""
    try:
        return _decode_str(raw)
    except UNREADABLE:
        return ""


def _body(answer: bytes) -> _Body | None:
    try:
        return _decode(answer)
    except UNREADABLE:
        return None


def _chat(answer: bytes) -> Facts | None:
    seen = wire.read_answer(answer)
    if seen is None:
        return None
    told = bytes(seen.usage)
    return Facts(
        told,
        usage.chat(told),
        wire.finish_reason(seen),
        seen.id or "",
        wire.message_bytes(seen),
        wire.says_error(seen),
    )


def _completions(answer: bytes) -> Facts | None:
    seen = _body(answer)
    if seen is None:
        return None
    told, choices = bytes(seen.usage), bytes(seen.choices)
    failed = choices in EMPTY and bytes(seen.error) not in EMPTY
    return Facts(told, usage.chat(told), "", _text(seen.id), _size(seen.choices), failed)


def _embeddings(answer: bytes) -> Facts | None:
    seen = _body(answer)
    if seen is None:
        return None
    told = bytes(seen.usage)
    failed = bytes(seen.data) in EMPTY and bytes(seen.error) not in EMPTY
    return Facts(told, usage.embeddings(told), failed=failed)


def _messages(answer: bytes) -> Facts | None:
    seen = _body(answer)
    if seen is None:
        return None
    told = bytes(seen.usage)
    return Facts(
        told,
        usage.messages(told),
        _text(seen.stop_reason),
        _text(seen.id),
        _size(seen.content),
        _text(seen.type) == "error",
    )


def _responses(answer: bytes) -> Facts | None:
    seen = _body(answer)
    if seen is None:
        return None
    told = bytes(seen.usage)
    return Facts(
        told,
        usage.responses(told),
        _text(seen.status),
        _text(seen.id),
        _size(seen.output),
        bytes(seen.error) not in EMPTY,
    )


def _images(answer: bytes) -> Facts | None:
    """Images priced in tokens tell their usage, and how many there are is noted in it."""
    seen = _body(answer)
    if seen is None:
        return None
    told = bytes(seen.usage)
    reading = usage.media(told)
    try:
        images = len(_decode_list(seen.data)) if bytes(seen.data) not in EMPTY else 0
    except UNREADABLE:
        return None
    if reading.problem == "usage_absent":
        reading = Reading(Counts(image=min(images, COUNT_MAX)))
    elif told[:1] == b"{":
        told = b'{"images":%d,%b' % (images, told[1:])
    failed = bytes(seen.data) in EMPTY and bytes(seen.error) not in EMPTY
    return Facts(told, reading, failed=failed)


def _uncounted(answer: bytes) -> Facts:
    """Speech is audio, a transcription may be plain text: only its usage is looked for."""
    seen = _body(answer) if answer[:1] == b"{" else None
    told = b"" if seen is None else bytes(seen.usage)
    reading = usage.media(told)
    return Facts(told, Reading(Counts()) if reading.problem == "usage_absent" else reading)


def _size(raw: msgspec.Raw) -> int:
    return 0 if bytes(raw) in EMPTY else len(bytes(raw))


_READERS: Final[dict[Operation, Callable[[bytes], Facts | None]]] = {
    "chat.completions": _chat,
    "completions": _completions,
    "embeddings": _embeddings,
    "messages": _messages,
    "responses": _responses,
    "images.generations": _images,
    "images.edits": _images,
    "images.variations": _images,
}


def facts_of(operation: Operation, answer: bytes) -> Facts | None:
    """What an answer says to the meter, or None when it is none.

    Args:
        operation: what the upstream was asked for.
        answer: the body of a successful answer.
    """
    return _READERS.get(operation, _uncounted)(answer)
