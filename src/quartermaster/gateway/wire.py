"""The chat completion dialect: read the fields we need, pass everything else through.

The body that goes upstream is built again from the decoded top level, so a client cannot show us
one `model` and the model server another by repeating the key; every value keeps its own bytes.

Source: the OpenAI API reference, `POST /v1/chat/completions`.
"""

import re
from typing import Final

import msgspec

from quartermaster.gateway.pieces import tokens_of_bytes
from quartermaster.gateway.refusals import refused
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.units import ServiceClass

_NULL: Final = b"null"
# The beginning of a list with an item; looks, but does not copy: messages are nearly a whole body.
_some_item: Final = re.compile(rb"\[\s*[^\s\]]").match
# What says nothing: absent, null, an empty string, list or object.
_EMPTY: Final = frozenset((b"", b"null", b'""', b"[]", b"{}"))
# Every request is metered as `standard`; another tier would cost what no row says.
_STANDARD_TIERS: Final = frozenset((_NULL, b'"auto"', b'"default"'))
_TRUE: Final = msgspec.Raw(b"true")


class StreamOptions(msgspec.Struct):
    """The client's `stream_options`, as far as we read it."""

    include_usage: bool | None = None


class ChatCall(msgspec.Struct, gc=False):
    """What the gateway knows of a chat completion request."""

    model: str
    stream: bool
    asks_usage: bool
    """The client itself asked for the usage frame of a stream."""
    fields: dict[str, msgspec.Raw]
    input_bytes: int
    service_class: ServiceClass = "standard"
    media_tokens: int = 0
    """Where images or files are in it: an estimate of all its input; most often by its bytes."""

    @property
    def input_tokens(self) -> int:
        """An estimate, where no model server counts."""
        return self.media_tokens or tokens_of_bytes(self.input_bytes)


class Answer(msgspec.Struct, gc=False):
    """What the gateway reads of a plain answer."""

    id: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"")
    choices: list["AnswerChoice"] | None = None
    error: msgspec.Raw = msgspec.Raw(b"")


class AnswerChoice(msgspec.Struct, gc=False):
    """One alternative of a plain answer."""

    finish_reason: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"")


class _OddAnswer(msgspec.Struct, gc=False):
    """The parts of an answer that cost something, where another part has a shape of its own."""

    usage: msgspec.Raw = msgspec.Raw(b"")
    choices: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_bool = msgspec.json.Decoder(bool | None).decode
_decode_options = msgspec.json.Decoder(StreamOptions | None).decode
_decode_raw_options = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_decode_answer = msgspec.json.Decoder(Answer).decode
_decode_odd_answer = msgspec.json.Decoder(_OddAnswer).decode
_decode_error = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read_call(body: bytes) -> ChatCall:
    """Decode the request.

    Raises:
        RefusedError: 400 with the parameter at fault.
    """
    try:
        fields = _decode_fields(body)
        if not body.isascii():
            body.decode()
    except msgspec.ValidationError as error:
        raise refused("invalid_json", "The request body must be a JSON object.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refused("invalid_json", f"The request body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise refused("invalid_json", "The request body is nested too deeply.") from error
    raw_model = fields.get("model")
    if raw_model is None:
        raise _missing("model")
    messages = fields.get("messages")
    if messages is None:
        raise _missing("messages")
    if _some_item(messages) is None:
        raise _wrong("messages", "a list with at least one message")
    try:
        model = _decode_str(raw_model)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _wrong("model", "a string") from error
    if not model:
        raise _missing("model")
    if "service_tier" in fields and bytes(fields["service_tier"]) not in _STANDARD_TIERS:
        raise refused(
            "unsupported_value",
            "Only the service tiers 'auto' and 'default' are served.",
            param="service_tier",
            hint="Leave service_tier out.",
        )
    stream = False
    asks_usage = False
    if "stream" in fields:
        stream = _flag(fields["stream"])
        if stream and "stream_options" in fields:
            asks_usage = _asks_usage(fields["stream_options"])
    return ChatCall(model, stream, asks_usage, fields, len(body))


def _flag(raw: msgspec.Raw) -> bool:
    try:
        return bool(_decode_bool(raw))
    except msgspec.DecodeError as error:
        raise _wrong("stream", "true or false") from error


def _asks_usage(raw: msgspec.Raw) -> bool:
    try:
        options = _decode_options(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong("stream_options", "an object with a boolean include_usage") from error
    return options is not None and bool(options.include_usage)


def _missing(param: str) -> RefusedError:
    return refused(
        "missing_required_parameter", f"Missing required parameter: '{param}'.", param=param
    )


def _wrong(param: str, expected: str) -> RefusedError:
    return refused("invalid_type", f"Invalid type for '{param}': expected {expected}.", param=param)


def upstream_body(call: ChatCall, upstream_model: bytes) -> bytes:
    """The body for the model server: its own model name, and usage always asked for.

    Args:
        call: the decoded request.
        upstream_model: the JSON string of the deployment's model name.
    """
    fields = call.fields
    fields["model"] = msgspec.Raw(upstream_model)
    if call.stream and not call.asks_usage:
        options = _decode_raw_options(fields.get("stream_options", msgspec.Raw(_NULL))) or {}
        options["include_usage"] = _TRUE
        fields["stream_options"] = msgspec.Raw(_encode(options))
    return _encode(fields)


def read_answer(body: bytes) -> Answer | None:
    """The fields of a plain answer that the meter needs, or None when it is no JSON object.

    What is odd about an answer, an `id` that is a number, must not hide what it used.
    """
    try:
        return _decode_answer(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_odd_answer(body)


def _read_odd_answer(body: bytes) -> Answer | None:
    try:
        odd = _decode_odd_answer(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    choices = [] if bytes(odd.choices) in _EMPTY else [AnswerChoice(message=odd.choices)]
    return Answer(usage=odd.usage, choices=choices, error=odd.error)


def says_error(answer: Answer) -> bool:
    """Whether the answer is an error under a status of success, as some model servers send it."""
    return not answer.choices and bytes(answer.error) not in _EMPTY


def finish_reason(answer: Answer) -> str:
    """Why the first choice that says so stopped."""
    for choice in answer.choices or ():
        if choice.finish_reason:
            return choice.finish_reason
    return ""


def message_bytes(answer: Answer) -> int:
    """Bytes of the answered messages, for an estimate where nobody counted."""
    return sum(len(bytes(choice.message)) for choice in answer.choices or ())


def has_error_shape(body: bytes) -> bool:
    """Whether an upstream error body already is what an OpenAI client expects."""
    try:
        error = _decode_error(body).get("error")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return error is not None and bytes(error).startswith(b"{")
