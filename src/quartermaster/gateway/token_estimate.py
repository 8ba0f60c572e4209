"""How many tokens may a request cost? An estimate at arrival, from bytes alone.

As Azure does it: the prompt by its length, plus the most output that was asked for. Nothing is
tokenised; what is wrong with it is put right when the request was metered.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects.form import FormCall
from quartermaster.gateway.pieces import tokens_of_bytes
from quartermaster.gateway.wire import ChatCall

# The answer of a chat that states no limit is mostly shorter; the rest is taken when it is known.
OUTPUT_TOKENS_UNSTATED: Final = 256
# A large image is near 1,600 tokens with every vendor, and so is a minute of speech.
MEDIA_PART_TOKENS: Final = 1_600
# Images are longer than this in base64; shorter ones are estimated as the text that they look like.
MEDIA_BYTES_MIN: Final = 4_096
MEDIA_REQUEST_BYTES: Final = 16 * 1024
"""Smaller requests are estimated as text also where nobody counts them at the end: a small image is
near what text of its size would be."""
# Words have a space or a comma within this; most long texts need no longer look.
_GLANCE_BYTES: Final = 64
# `data:application/vnd.openxmlformats-officedocument.wordprocessingml.document;base64,` fits.
_DATA_URL_BYTES: Final = 128
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_\\"
# What caps an output: chat completions new and old, responses, messages.
_CAPS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")
# Answers asked for at once.
_ALTERNATIVES: Final = ("n", "best_of")
# A cap beyond this is of no model; it is no reason to count in numbers of many digits.
CAP_TOKENS_MAX: Final = 1_000_000_000

_decode_number = msgspec.json.Decoder(int | None).decode


def estimate(call: ChatCall, body: bytes, *, answers: bool = True, output_weight: int = 1) -> int:
    """Input and output tokens of a request that has not been served.

    Args:
        call: the request.
        body: its bytes as they came.
        answers: whether tokens come back; of an embedding none do.
        output_weight: how many input tokens an output token counts as.
    """
    if isinstance(call, FormCall):
        return MEDIA_PART_TOKENS
    return input_tokens(body) + (output_weight * _output(call) if answers else 0)


def input_tokens(body: bytes) -> int:
    """Of a request: its text by bytes, and of each image or file the usual tokens."""
    size = text_bytes = len(body)
    media_parts = 0
    start = 0  # behind a quote, where a string may begin
    while size - start >= MEDIA_BYTES_MIN:
        # Looked for from the far end, because most strings are short, and the long one has none.
        quote = body.rfind(b'"', start, start + MEDIA_BYTES_MIN)
        if quote < 0:
            quote = body.find(b'"', start + MEDIA_BYTES_MIN)
            quote = size if quote < 0 else quote
            if _is_base64(body, start):
                text_bytes -= quote - start
                media_parts += 1
        start = quote + 1
    return tokens_of_bytes(text_bytes) + media_parts * MEDIA_PART_TOKENS


def _is_base64(body: bytes, start: int) -> bool:
    """Whether the long string there has no words, as far as the first of it tells.

    What a data URL begins with is skipped.
    """
    begin = start + _DATA_URL_BYTES
    if body[begin : begin + _GLANCE_BYTES].translate(None, _BASE64):
        return False
    return not body[begin : start + MEDIA_BYTES_MIN].translate(None, _BASE64)


def _output(call: ChatCall) -> int:
    fields = call.fields
    caps = [_number(fields[name]) for name in _CAPS if name in fields]
    most = max(caps, default=0) or OUTPUT_TOKENS_UNSTATED
    times = [_number(fields[name]) for name in _ALTERNATIVES if name in fields]
    return most * max(1, *times) if times else most


def _number(raw: msgspec.Raw) -> int:
    """A number of the request, 0 for what is none; the model server says what it thinks of it."""
    try:
        number = _decode_number(raw)
    except (msgspec.DecodeError, ValueError):
        return 0
    return min(max(number or 0, 0), CAP_TOKENS_MAX)
