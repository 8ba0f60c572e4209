"""What can a request use at most? Bounds from its bytes, and the output cap that makes them true.

Every token is at least one byte, so a request's bytes bound its text. A part that is no text (an
image, a recording, a file) has a stated bound, and its base64 is not counted as text. The output is
bound by the cap that the request states, times how many answers it asks for; where it states none,
one is put into it. Nothing is tokenised.

Only whole numbers are taken for what multiplies money: a model server may read "5" as five.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from quartermaster.gateway.dialects.body import UNREADABLE
from quartermaster.gateway.dialects.completions import images_of
from quartermaster.gateway.dialects.form import FormCall
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.events import DeploymentApi, Endpoint

# What a server adds to the prompt: its chat template, and instructions for tools (Anthropic's are
# some 700 tokens, templates with a system prompt of their own under 300).
TEMPLATE_TOKENS: Final = 1_024
# The dearest reading of one image known is near 37,000 tokens (gpt-4o-mini, tiled at high detail).
IMAGE_TOKENS_MAX: Final = 50_000
# An hour of speech, or a file of eighty pages with its pictures.
FILE_TOKENS_MAX: Final = 250_000
# A form carries up to 16 images or one recording; its bytes say little about tokens.
FORM_TOKENS_MAX: Final = 16 * IMAGE_TOKENS_MAX
# The largest generated image with every vendor that counts tokens is under 7,000.
IMAGE_OUTPUT_TOKENS_MAX: Final = 10_000
# The form's own number is not read; OpenAI allows ten.
FORM_IMAGES_MAX: Final = 10
# A transcription of the longest recording that fits a form, and its usage where it is told.
FORM_OUTPUT_TOKENS_MAX: Final = 32_000
# Images are longer than this in base64; shorter strings are text.
MEDIA_BYTES_MIN: Final = 4_096
# A request nested deeper is an attack on whoever walks it; real ones have four levels.
DEPTH_MAX: Final = 64

_IMAGES: Final = frozenset(("image", "image_url", "input_image"))
# Parts that are text, or hold parts: every other one has a bound of its own.
_TEXTS: Final = frozenset(
    (
        *("text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text"),
        *("thinking", "redacted_thinking", "reasoning", "compaction"),
        *("tool_use", "tool_result", "function_call", "function_call_output", "message"),
        *("custom_tool_call", "custom_tool_call_output", "item_reference", "web_search_call"),
        *("mcp_call", "mcp_list_tools", "server_tool_use", "web_search_tool_result"),
    )
)
# A list as content is where parts are; an ASCII letter written as an escape could hide one. Apart,
# because a pattern that begins with its letters is searched for ten times as fast.
_PARTS: Final = re.compile(rb'"content"\s*:\s*\[')
_HIDDEN: Final = re.compile(rb"\\u00[0-7]")
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"
# `data:application/vnd.openxmlformats-officedocument.wordprocessingml.document;base64,` fits.
_DATA_URL_BYTES: Final = 128

# What caps an output, in every dialect and with servers that have a word of their own (llama.cpp).
_CAPS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens", "n_predict")
_ALTERNATIVES: Final = ("n", "best_of")
_WRITING: Final = frozenset(("chat.completions", "completions", "responses", "messages"))

_decode_number = msgspec.json.Decoder(int | None).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


class Bound(msgspec.Struct, frozen=True, gc=False):
    """The most that a request may be billed for."""

    input_tokens: int
    output_tokens: int = 0
    images: int = 0


def bound(
    call: ChatCall, body: bytes, operation: Endpoint, api: DeploymentApi, output_tokens: int
) -> Bound:
    """The bound of a request; a missing output cap is put into it.

    Args:
        call: the request; its fields go upstream.
        body: its bytes, as they came.
        operation: what the client asks for.
        api: what the model server speaks.
        output_tokens: the cap of a request that states none.

    Raises:
        RefusedError: 400, a number that multiplies money is none.
    """
    if isinstance(call, FormCall):
        return _form(body, operation)
    if operation in _WRITING:
        output = answers_asked(call) * cap_stated(call, operation, api, output_tokens)[1]
        return Bound(_input(body, operation) + TEMPLATE_TOKENS, output)
    if operation in ("images.generations", "images.edits"):
        images = _number(call, "n") or 1
        given = images_of(call.fields) if operation == "images.edits" else 0
        heard = len(body) + given * IMAGE_TOKENS_MAX
        return Bound(heard, images * IMAGE_OUTPUT_TOKENS_MAX, images)
    if operation == "audio.speech":
        return Bound(len(body), FORM_OUTPUT_TOKENS_MAX)
    return Bound(len(body))


def _form(body: bytes, operation: Endpoint) -> Bound:
    heard = min(len(body), FORM_TOKENS_MAX)
    if operation in ("images.edits", "images.variations"):
        return Bound(heard, FORM_IMAGES_MAX * IMAGE_OUTPUT_TOKENS_MAX, FORM_IMAGES_MAX)
    return Bound(heard, FORM_OUTPUT_TOKENS_MAX)


def cap_stated(
    call: ChatCall, operation: Endpoint, api: DeploymentApi, default: int
) -> tuple[str, int]:
    """Output tokens of one answer, by whichever name the server may obey, and that name.

    Args:
        call: the request; a missing cap is put into it.
        operation: what the client asks for.
        api: what the model server speaks.
        default: the cap of a request that states none.

    Raises:
        RefusedError: 400, a cap is no whole number of at least one.
    """
    fields = call.fields
    stated: dict[str, int] = {}
    for known in _CAPS:
        if known in fields and (number := _number(call, known)):
            stated[known] = number
    name = also = _cap_name(operation, api)
    if operation == "chat.completions":
        # Either name caps a chat, and OpenAI and Azure refuse a request that states both.
        also = "max_tokens" if name == "max_completion_tokens" else "max_completion_tokens"
    if name not in stated and also not in stated:
        fields[name] = msgspec.Raw(b"%d" % default)
        stated[name] = default
    return max(stated.items(), key=_number_stated)


def _number_stated(item: tuple[str, int]) -> int:
    return item[1]


def _cap_name(operation: Endpoint, api: DeploymentApi) -> str:
    """Under which name a server certainly obeys a cap.

    Ollama and older servers silently ignore `max_completion_tokens`; OpenAI's reasoning models
    refuse `max_tokens`, which at least is loud.
    """
    if operation == "responses":
        return "max_output_tokens"
    if operation == "chat.completions" and api in ("azure", "openai-responses"):
        return "max_completion_tokens"
    return "max_tokens"


def answers_asked(call: ChatCall) -> int:
    """How many answers are written, shown or not.

    Raises:
        RefusedError: 400, their number is none.
    """
    most, fields = 1, call.fields
    for name in _ALTERNATIVES:
        if name in fields:
            most = max(most, _number(call, name) or 1)
    return most * _prompts(fields["prompt"]) if "prompt" in fields else most


def _prompts(prompt: msgspec.Raw) -> int:
    """Prompts of a legacy completion: a text, token numbers, or a list of either."""
    if bytes(prompt)[:1] != b"[":
        return 1
    try:
        items = _decode_list(prompt)
    except UNREADABLE as error:
        raise refused("invalid_type", "The prompt cannot be read.", param="prompt") from error
    return max(1, sum(bytes(item)[:1] in b'"[' for item in items))


def _number(call: ChatCall, name: str) -> int | None:
    """A whole number of at least one, or None where there is none.

    Raises:
        RefusedError: 400, it is something else.
    """
    raw = call.fields.get(name)
    if raw is None:
        return None
    try:
        number: int | None = _decode_number(raw)
    except UNREADABLE as error:
        raise _no_number(name) from error
    if number is not None and number < 1:
        raise _no_number(name)
    return number


def _no_number(name: str) -> RefusedError:
    return refused(
        "unsupported_value",
        f"'{name}' must be a whole number of at least 1: this API key has a budget or an output"
        " limit.",
        param=name,
    )


def _input(body: bytes, operation: Endpoint) -> int:
    """Input tokens by bytes, with a stated bound for every part that is no text."""
    if operation == "chat.completions":
        # The list of messages is the only one of most requests, which a search for a byte shows.
        alone = body.find(b"[", body.find(b"[") + 1) < 0
        if (alone or not _PARTS.search(body)) and not (b"\\" in body and _HIDDEN.search(body)):
            return len(body)
    try:
        tokens, encoded = _media(_decode(body))
    except UNREADABLE as error:
        raise refused("invalid_json", "The request cannot be read.") from error
    return len(body) - encoded + tokens


def _media(request: Any) -> tuple[int, int]:  # noqa: ANN401 - any JSON
    """Tokens of all parts that are no text, and the bytes of their base64."""
    tokens = encoded = 0
    for part in _parts(request):
        kind = part.get("type")
        if not isinstance(kind, str | None):
            raise refused("invalid_type", "The type of a content part is not text.", param="type")
        if kind in _TEXTS or (kind is None and part.keys() == {"text"}):
            continue
        is_image = kind in _IMAGES or "image_url" in part
        tokens += IMAGE_TOKENS_MAX if is_image else FILE_TOKENS_MAX
        encoded += sum(len(text) for text in _texts(part) if _is_encoded(text))
    return tokens, encoded


def _parts(request: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Everything in a list under `content`, `output`, `input` or `system`, at any depth."""
    waiting: list[tuple[Any, int]] = [
        (request.get(name), 0) for name in ("messages", "input", "system", "prompt")
    ]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEPTH_MAX:
            raise refused("invalid_json", "The request body is nested too deeply.")
        if isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    if depth or "role" not in item:
                        yield item
                    inner = (item.get(name) for name in ("content", "output", "input"))
                    waiting.extend((one, depth + 1) for one in inner)


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _is_encoded(text: str) -> bool:
    """Whether a long string is base64, perhaps behind the head of a data URL."""
    if len(text) < MEDIA_BYTES_MIN or not text.isascii():
        return False
    return not text[_DATA_URL_BYTES:].encode().translate(None, _BASE64)
