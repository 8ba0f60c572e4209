"""What vendors say a request used, split into the meter's disjoint axes, or why it is not believed.

Vendors nest their counts in different ways:

    OpenAI chat       prompt_tokens holds cached, cache-writing and audio tokens;
                      completion_tokens holds reasoning and audio tokens
    OpenAI Responses  the same under input_tokens and output_tokens
    Anthropic         input_tokens holds neither cache reads nor cache writes;
                      output_tokens holds thinking tokens

Sources: the OpenAI API reference (CompletionUsage, ResponseUsage, ImageGenUsage,
TranscriptTextUsageTokens); platform.claude.com/docs/en/api/messages (Usage).
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from quartermaster.gateway.dialects.body import UNREADABLE
from quartermaster.kernel.units import COUNT_MAX, Counts

Problem = Literal[
    "",
    "usage_absent",
    "usage_unreadable",
    "usage_incomplete",
    "usage_negative",
    "usage_too_large",
    "usage_parts_exceed_total",
    "usage_unit_unknown",
]
"""Why a vendor's counts are not billed; anything but absence is a case for review."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What one usage object says: counts, or the problem with it."""

    counts: Counts | None
    problem: Problem = ""
    engine: bool = False
    """Our embedded engine counted its own token ids."""


class _ChatInput(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _ChatOutput(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _ChatUsage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _ChatInput | None = None
    completion_tokens_details: _ChatOutput | None = None
    count_source: str | None = None


class _ResponsesUsage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _ChatInput | None = None
    output_tokens_details: _ChatOutput | None = None


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Thinking(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _MessagesUsage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _Thinking | None = None


class _MediaDetails(msgspec.Struct, gc=False):
    audio_tokens: int | None = None


class _MediaUsage(msgspec.Struct, gc=False):
    type: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _MediaDetails | None = None


_decode_chat = msgspec.json.Decoder(_ChatUsage).decode
_decode_responses = msgspec.json.Decoder(_ResponsesUsage).decode
_decode_messages = msgspec.json.Decoder(_MessagesUsage).decode
_decode_media = msgspec.json.Decoder(_MediaUsage).decode
_NOTHING_SAID: Final = frozenset((b"", b"null", b"{}"))
_ABSENT: Final = Reading(None, "usage_absent")
_UNREADABLE: Final = Reading(None, "usage_unreadable")
_INCOMPLETE: Final = Reading(None, "usage_incomplete")


def chat(usage: bytes) -> Reading:
    """The usage object of a chat completion or a legacy completion."""
    if usage in _NOTHING_SAID:
        return _ABSENT
    try:
        seen = _decode_chat(usage)
    except UNREADABLE:
        return _UNREADABLE
    return _nested(
        seen.prompt_tokens,
        seen.prompt_tokens_details,
        seen.completion_tokens,
        seen.completion_tokens_details,
        seen.count_source == "engine",
    )


def embeddings(usage: bytes) -> Reading:
    """The usage object of embeddings: they have no output tokens."""
    if usage in _NOTHING_SAID:
        return _ABSENT
    try:
        seen = _decode_chat(usage)
    except UNREADABLE:
        return _UNREADABLE
    return _nested(seen.prompt_tokens, None, 0, None)


def responses(usage: bytes) -> Reading:
    """The usage object of a Responses API response."""
    if usage in _NOTHING_SAID:
        return _ABSENT
    try:
        seen = _decode_responses(usage)
    except UNREADABLE:
        return _UNREADABLE
    return _nested(
        seen.input_tokens,
        seen.input_tokens_details,
        seen.output_tokens,
        seen.output_tokens_details,
    )


def messages(usage: bytes) -> Reading:
    """The usage object of an Anthropic message; cache writes of both lifetimes are one axis."""
    if usage in _NOTHING_SAID:
        return _ABSENT
    try:
        seen = _decode_messages(usage)
    except UNREADABLE:
        return _UNREADABLE
    if seen.input_tokens is None or seen.output_tokens is None:
        return _INCOMPLETE
    by_lifetime = seen.cache_creation or _CacheCreation()
    short = by_lifetime.ephemeral_5m_input_tokens or 0
    long = by_lifetime.ephemeral_1h_input_tokens or 0
    written = seen.cache_creation_input_tokens
    if written is None:
        written = short + long
    thinking = 0
    if seen.output_tokens_details is not None:
        thinking = seen.output_tokens_details.thinking_tokens or 0
    read = seen.cache_read_input_tokens or 0
    parts = (seen.input_tokens, read, written, short, long, seen.output_tokens, thinking)
    problem = _problem(parts)
    if not problem and (short + long > written or thinking > seen.output_tokens):
        problem = "usage_parts_exceed_total"
    if problem:
        return Reading(None, problem)
    return Reading(
        Counts(seen.input_tokens, read, written, seen.output_tokens - thinking, reasoning=thinking)
    )


def media(usage: bytes) -> Reading:
    """The usage object of images or of a transcription counted in tokens.

    A transcription that is counted in seconds has no axis here: it goes to review.
    """
    if usage in _NOTHING_SAID:
        return _ABSENT
    try:
        seen = _decode_media(usage)
    except UNREADABLE:
        return _UNREADABLE
    if seen.type not in (None, "tokens"):
        return Reading(None, "usage_unit_unknown")
    heard = seen.input_token_details.audio_tokens if seen.input_token_details else None
    return _nested(seen.input_tokens, _ChatInput(audio_tokens=heard), seen.output_tokens, None)


READERS: Final[dict[str, Callable[[bytes], Reading]]] = {
    "chat.completions": chat,
    "completions": chat,
    "embeddings": embeddings,
    "responses": responses,
    "messages": messages,
    "images.generations": media,
    "images.edits": media,
    "images.variations": media,
    "audio.transcriptions": media,
    "audio.translations": media,
}
"""By what the upstream was asked for."""


def _problem(parts: tuple[int, ...]) -> Problem:
    """What is wrong with single counts, whatever they add up to."""
    if min(parts) < 0:
        return "usage_negative"
    if max(parts) > COUNT_MAX:
        return "usage_too_large"
    return ""


def _nested(
    total_in: int | None,
    inside: _ChatInput | None,
    total_out: int | None,
    beside: _ChatOutput | None,
    engine: bool = False,
) -> Reading:
    """Totals that hold their parts as disjoint axes.

    Cached audio counts as cached: that is the price it gets.
    """
    if total_in is None or total_out is None:
        return _INCOMPLETE
    cached = written = heard = reasoning = spoken = 0
    if inside is not None:
        cached = inside.cached_tokens or 0
        written = inside.cache_write_tokens or 0
        heard = inside.audio_tokens or 0
    if beside is not None:
        reasoning = beside.reasoning_tokens or 0
        spoken = beside.audio_tokens or 0
    if not (cached or written or heard or reasoning or spoken):
        # The usual answer has no parts; this runs once for every request.
        if 0 <= total_in <= COUNT_MAX and 0 <= total_out <= COUNT_MAX:
            return Reading(Counts(total_in, 0, 0, total_out), "", engine)
    problem = _problem((total_in, cached, written, heard, total_out, reasoning, spoken))
    if not problem and (
        cached + written > total_in or heard > total_in or reasoning + spoken > total_out
    ):
        problem = "usage_parts_exceed_total"
    if problem:
        return Reading(None, problem)
    heard = min(heard, total_in - cached - written)
    return Reading(
        Counts(
            total_in - cached - written - heard,
            cached,
            written,
            total_out - reasoning - spoken,
            reasoning,
            heard,
            spoken,
        ),
        engine=engine,
    )


def as_chat(counts: Counts) -> dict[str, object]:
    """Counts as an OpenAI chat usage object."""
    total_in = counts.input + counts.cached_read + counts.cache_write + counts.audio_input
    total_out = counts.output + counts.reasoning + counts.audio_output
    return {
        "prompt_tokens": total_in,
        "completion_tokens": total_out,
        "total_tokens": total_in + total_out,
        "prompt_tokens_details": {
            "cached_tokens": counts.cached_read,
            "cache_write_tokens": counts.cache_write,
            "audio_tokens": counts.audio_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": counts.audio_output,
        },
    }


def as_responses(counts: Counts) -> dict[str, object]:
    """Counts as a Responses API usage object; its five fields are all required."""
    total_in = counts.input + counts.cached_read + counts.cache_write + counts.audio_input
    total_out = counts.output + counts.reasoning + counts.audio_output
    return {
        "input_tokens": total_in,
        "input_tokens_details": {
            "cached_tokens": counts.cached_read,
            "cache_write_tokens": counts.cache_write,
        },
        "output_tokens": total_out,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": total_in + total_out,
    }


def as_messages(counts: Counts) -> dict[str, object]:
    """Counts as an Anthropic usage object: the cache buckets stand beside the input."""
    return {
        "input_tokens": counts.input + counts.audio_input,
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cached_read,
        "output_tokens": counts.output + counts.reasoning + counts.audio_output,
        "output_tokens_details": {"thinking_tokens": counts.reasoning},
    }
