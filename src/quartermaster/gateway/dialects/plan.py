r"""How one request travels: from the client's dialect to the upstream's, and back.

Chat completions are the pivot. A client of another dialect is read into a chat request, an upstream
of another dialect is asked from one; where both speak the same, the bytes pass as they are:

    client \ upstream    openai, azure       openai-responses    anthropic
    chat.completions    as it is            as it is            translated
    responses           translated          as it is            translated twice
    messages            translated          translated          as it is
    completions, ...    as it is            as it is            -
"""

from collections.abc import Callable

import msgspec

from quartermaster.gateway import wire
from quartermaster.gateway.dialects import (
    anthropic_request,
    anthropic_response,
    completions,
    messages_request,
    messages_response,
    responses_object,
    responses_request,
    usage,
)
from quartermaster.gateway.dialects.anthropic_native import NativeMessages
from quartermaster.gateway.dialects.anthropic_stream import ChatFromMessages
from quartermaster.gateway.dialects.body import encode, fields_of, raw, unsupported
from quartermaster.gateway.dialects.completions import NativeCompletions
from quartermaster.gateway.dialects.form import FormCall, is_json, read_form, upstream_form
from quartermaster.gateway.dialects.frames import Frames
from quartermaster.gateway.dialects.messages_stream import MessagesFromChat
from quartermaster.gateway.dialects.responses_native import NativeResponses
from quartermaster.gateway.dialects.responses_stream import ResponsesFromChat
from quartermaster.gateway.dialects.routes import FORMS, Operation
from quartermaster.gateway.dialects.translated import Translator, events_of
from quartermaster.gateway.dialects.usage import Reading
from quartermaster.gateway.settings import FRAME_BYTES_MAX
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.events import DeploymentApi
from quartermaster.kernel.units import Counts

Render = Callable[[bytes, Counts], bytes]


class Plan(msgspec.Struct, frozen=True):
    """One request's way; `render` is None where the answer's bytes pass as they are."""

    operation: Operation
    """What the upstream is asked for."""
    body: bytes
    render: Render | None = None
    content_type: str = "application/json"
    translator: Callable[[], Translator] | None = None

    def reading(self, told: bytes) -> Reading:
        """What the upstream's usage object says, in the dialect it was asked in."""
        return usage.READERS[self.operation](told)


class Identity(msgspec.Struct, frozen=True):
    """What authored answers are called and when they were made."""

    request_id: str
    created_s: int


def read_call(operation: Operation, body: bytes, model: str = "") -> ChatCall:
    """What routing and metering need of a request of any dialect.

    Args:
        operation: what is asked for.
        body: the request's body.
        model: the model's name where the address has it; then the body's own does not count.

    Raises:
        RefusedError: 400 with the parameter at fault.
    """
    if operation in FORMS and not (operation == "images.edits" and is_json(body)):
        return read_form(body, model)
    if model:
        fields = fields_of(body)
        fields["model"] = raw(model)
        body = encode(fields)
    if operation == "chat.completions":
        return wire.read_call(body)
    if operation in ("messages", "messages.count_tokens"):
        return messages_request.read_call(body)
    if operation == "responses":
        return responses_request.read_call(body)
    return completions.read_call(operation, body)


def asked_as(operation: Operation, api: DeploymentApi) -> Operation:
    """What an upstream is asked for when a client asks for an operation."""
    if operation in ("messages", "responses", "chat.completions"):
        if api == "anthropic":
            return "messages"
        if operation != "responses" or api != "openai-responses":
            return "chat.completions"
    return operation


def plan(
    operation: Operation,
    call: ChatCall,
    api: DeploymentApi,
    upstream_model: bytes,
    identity: Identity,
) -> Plan:
    """The way of a request.

    Args:
        operation: what the client asked for.
        call: the request, as `read_call` gave it.
        api: what the chosen deployment speaks.
        upstream_model: the JSON string of the deployment's model name.
        identity: what authored answers are called.

    Raises:
        RefusedError: 400 for what the upstream's dialect cannot say.
    """
    if operation == "chat.completions":
        return _chat(call, api, upstream_model, identity)
    if operation == "messages":
        return _messages(call, api, upstream_model, identity)
    if operation == "responses":
        return _responses(call, api, upstream_model, identity)
    if api == "anthropic":
        raise unsupported("model", f"The model '{call.model}' does not support this operation.")
    if isinstance(call, FormCall):
        return Plan(operation, upstream_form(call, upstream_model), None, call.content_type)
    body = completions.upstream_body(call, upstream_model)
    return Plan(operation, body, translator=lambda: NativeCompletions(asks_usage=call.asks_usage))


def _chat(call: ChatCall, api: DeploymentApi, upstream_model: bytes, identity: Identity) -> Plan:
    if api != "anthropic":
        return Plan("chat.completions", wire.upstream_body(call, upstream_model))
    asked = anthropic_response.Asked(
        f"chatcmpl-{identity.request_id}", call.model, identity.created_s, call.asks_usage
    )
    body = anthropic_request.upstream_body(anthropic_request.from_chat(call), upstream_model)
    return Plan(
        "messages",
        body,
        lambda answer, counts: anthropic_response.completion(answer, asked, counts),
        translator=lambda: ChatFromMessages(asked),
    )


def _messages(
    call: ChatCall, api: DeploymentApi, upstream_model: bytes, identity: Identity
) -> Plan:
    if api == "anthropic":
        body = messages_request.native_body(call, upstream_model)
        return Plan("messages", body, translator=NativeMessages)
    asked = messages_response.Asked(
        f"msg_{identity.request_id}",
        call.model,
        messages_request.wants_thinking(call),
        tuple(messages_request.stop_sequences(call)),
    )
    chat = _capped(messages_request.to_chat(call), api)
    return Plan(
        "chat.completions",
        wire.upstream_body(chat, upstream_model),
        lambda answer, counts: messages_response.message(answer, asked, counts),
        translator=lambda: MessagesFromChat(asked),
    )


def _capped(chat: ChatCall, api: DeploymentApi) -> ChatCall:
    """The output limit under the name that the server obeys.

    Ollama and older servers silently ignore `max_completion_tokens`, and an answer without an end
    is the seller's cost; OpenAI's reasoning models refuse `max_tokens`, which at least is loud.
    """
    if api == "openai" and "max_completion_tokens" in chat.fields:
        chat.fields["max_tokens"] = chat.fields.pop("max_completion_tokens")
    return chat


def _responses(
    call: ChatCall, api: DeploymentApi, upstream_model: bytes, identity: Identity
) -> Plan:
    if api == "openai-responses":
        body = responses_request.native_body(call, upstream_model)
        return Plan("responses", body, translator=NativeResponses)
    asked = responses_object.Asked(
        f"resp_{identity.request_id}", call.model, identity.created_s, call.fields
    )
    chat = responses_request.to_chat(call)
    if api != "anthropic":
        chat = _capped(chat, api)
        return Plan(
            "chat.completions",
            wire.upstream_body(chat, upstream_model),
            lambda answer, counts: responses_object.plain(answer, asked, counts),
            translator=lambda: ResponsesFromChat(asked),
        )
    inner = anthropic_response.Asked(
        f"chatcmpl-{identity.request_id}", call.model, identity.created_s
    )
    return Plan(
        "messages",
        anthropic_request.upstream_body(anthropic_request.from_chat(chat), upstream_model),
        lambda answer, counts: responses_object.plain(
            anthropic_response.completion(answer, inner, counts), asked, counts
        ),
        translator=lambda: Chained(ChatFromMessages(inner), ResponsesFromChat(asked)),
    )


class Chained:
    """Two translators in a row; see `translated.Translator` for what the relay reads.

    Args:
        first: from the upstream's dialect to chat completions.
        second: from chat completions to the client's dialect.
    """

    __slots__ = ("_first", "_second")

    def __init__(self, first: Translator, second: Translator) -> None:
        self._first = first
        self._second = second

    @property
    def deltas(self) -> int:
        """Content deltas that went on."""
        return self._second.deltas

    @property
    def text_bytes(self) -> int:
        """Bytes of the text in them."""
        return self._second.text_bytes

    @property
    def done(self) -> bool:
        """Whether the upstream said its end."""
        return self._first.done

    @property
    def error(self) -> bool:
        """Whether the upstream said that it failed."""
        return self._first.error

    @property
    def finish_reason(self) -> str:
        """Why the model stopped."""
        return self._first.finish_reason

    @property
    def upstream_id(self) -> str:
        """The upstream's id of the answer."""
        return self._first.upstream_id

    @property
    def usage(self) -> bytes:
        """The upstream's usage object."""
        return self._first.usage

    def event(self, payload: bytes) -> bytes:
        """The client frames of one upstream event.

        Raises:
            UpstreamError: an event that cannot be.
        """
        frames = Frames(FRAME_BYTES_MAX).feed(self._first.event(payload))
        return events_of(self._second, frames)

    def closing(self, counts: Counts) -> bytes:
        """The client's last frames."""
        return self._second.closing(counts)

    def cut(self) -> bytes | None:
        """The output ends at its cap."""
        return self._second.cut()

    def broken(self, refusal: RefusedError) -> bytes:
        """The client's error frame."""
        return self._second.broken(refusal)
