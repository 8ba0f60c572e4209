"""OpenAI's chat completion shapes: what we accept, and what we answer.

Source: platform.openai.com/docs/api-reference/chat. A field that would change the meaning of the
answer and that this small engine cannot honour is refused by name, never ignored.
"""

from typing import Any, Literal

import msgspec

from quartermaster.kernel.errors import CallerError, QuartermasterError
from quartermaster.model.chat import Message, Role
from quartermaster.model.generation import Sampling

DEFAULT_TEMPERATURE = 0.2
DEFAULT_TOP_P = 0.9
"""What the makers of SmolLM2-135M-Instruct sample with in their model card; at OpenAI's 1.0 a
model this small loses the thread."""

DEFAULT_OUTPUT_TOKENS = 256
"""Without a cap a small model may repeat itself to the end of its context (20 s of a slot)."""

TEMPERATURE_MAX = 2.0
"""OpenAI's own limit."""

CHOICES_MAX = 8
"""One round of the default slots; more would wait for themselves."""

STOPS_MAX = 4
"""OpenAI's own limit."""

STOP_CHARACTERS_MAX = 1_000
"""Text is held back for as long as it could begin a stop string."""

_REFUSED_UNLESS: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
}


class BadRequestError(CallerError):
    """The request body cannot be used."""

    code = "invalid_request"


class ContentPart(msgspec.Struct, frozen=True):
    """A part of a message; only text parts can be read."""

    type: str
    text: str = ""


class WireMessage(msgspec.Struct, frozen=True):
    """A message as a client sends it. `developer` is OpenAI's newer word for `system`."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart]


class StreamOptions(msgspec.Struct, frozen=True):
    """Whether a last chunk carries the usage."""

    include_usage: bool = False


class ChatRequest(msgspec.Struct, frozen=True):
    """The fields of a chat completion request that this server honours."""

    model: str
    messages: list[WireMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return 1 if self.n is None else self.n

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def tokens_wanted(self) -> int:
        """The output cap; the newer field wins where both are given."""
        given = self.max_completion_tokens
        given = self.max_tokens if given is None else given
        return DEFAULT_OUTPUT_TOKENS if given is None else given

    def conversation(self) -> list[Message]:
        """The messages as the engines read them.

        Raises:
            BadRequestError: a part is not text.
        """
        return [_message(index, message) for index, message in enumerate(self.messages)]

    def sampling(self, *, seed: int, tokens_max: int) -> Sampling:
        """How to choose the tokens of one choice."""
        return Sampling(
            temperature=DEFAULT_TEMPERATURE if self.temperature is None else self.temperature,
            top_p=DEFAULT_TOP_P if self.top_p is None else self.top_p,
            seed=seed,
            tokens_max=tokens_max,
            stop=self.stops,
        )

    @property
    def stops(self) -> tuple[str, ...]:
        """Stop strings, none of them empty."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)


def parse(body: bytes) -> ChatRequest:
    """A request that can be answered.

    Raises:
        BadRequestError: names the field and the reason.
    """
    try:
        request = msgspec.json.decode(body, type=ChatRequest)
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the body cannot be read: {error}", field=_path(error)) from error
    for field, harmless in _REFUSED_UNLESS.items():
        if fields.get(field) is not None and fields[field] not in harmless:
            raise BadRequestError(
                f"this model cannot honour {field}", hint=f"leave {field} out", field=field
            )
    _check_ranges(request)
    return request


def _path(error: Exception) -> str | None:
    """The field in msgspec's message: "... - at `$.messages[0].role`"."""
    _, found, rest = str(error).partition("`$.")
    return rest.rstrip("`") if found else None


def _check_ranges(request: ChatRequest) -> None:
    if not request.messages:
        raise BadRequestError("messages is empty", field="messages")
    for field, value, low, high in (
        ("temperature", request.temperature, 0, TEMPERATURE_MAX),
        ("top_p", request.top_p, 0, 1),
        ("n", request.n, 1, CHOICES_MAX),
        ("max_tokens", request.max_tokens, 1, None),
        ("max_completion_tokens", request.max_completion_tokens, 1, None),
        ("seed", request.seed, -(2**63), 2**63 - 1),
    ):
        if value is None:
            continue
        if value < low or (high is not None and value > high):
            span = f"at least {low}" if high is None else f"from {low} to {high}"
            raise BadRequestError(f"{field} is {value}; it must be {span}", field=field)
    stops = request.stops
    if len(stops) > STOPS_MAX or any(len(text) > STOP_CHARACTERS_MAX for text in stops):
        raise BadRequestError(
            f"stop takes at most {STOPS_MAX} strings of {STOP_CHARACTERS_MAX} characters",
            field="stop",
        )


def _message(index: int, message: WireMessage) -> Message:
    role: Role = "system" if message.role == "developer" else message.role
    if isinstance(message.content, str):
        return Message(role, message.content)
    for number, part in enumerate(message.content):
        if part.type != "text":
            raise BadRequestError(
                f"a part of type {part.type!r} cannot be read",
                hint="send text only",
                field=f"messages[{index}].content[{number}]",
            )
    return Message(role, "".join(part.text for part in message.content))


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    """The counts, with who counted: the engine's own ids."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "count_source": "engine",
    }


def error_body(error: QuartermasterError) -> dict[str, Any]:
    """OpenAI's error object; the hint follows the message."""
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    kind = "invalid_request_error" if isinstance(error, CallerError) else "server_error"
    if error.http_status == 429:
        kind = "rate_limit_error"
    return {"error": {"message": message, "type": kind, "param": error.field, "code": error.code}}
