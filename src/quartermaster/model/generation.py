"""The words the engines and the server share: what to generate, and what comes back."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from quartermaster.kernel.errors import CallerError, OurError
from quartermaster.model.chat import Message

FinishReason = Literal["stop", "length"]


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How to choose tokens. Temperature 0 is greedy; the same seed gives the same tokens."""

    temperature: float
    top_p: float
    seed: int
    tokens_max: int
    stop: tuple[str, ...] = ()


class Prompt(msgspec.Struct, frozen=True):
    """A conversation as the engine's own tokens."""

    ids: tuple[int, ...]
    text: str = ""

    @property
    def tokens(self) -> int:
        """How many tokens the engine reads."""
        return len(self.ids)


class Delta(msgspec.Struct, frozen=True):
    """Text that became final; `output_tokens` counts all ids sampled so far."""

    text: str
    output_tokens: int


class Finished(msgspec.Struct, frozen=True):
    """The answer is complete.

    `output_tokens` are the ids sampled as answer; the end-of-turn id is not one of them.
    """

    reason: FinishReason
    output_tokens: int


class Failed(msgspec.Struct, frozen=True):
    """The engine broke; nothing more comes."""

    message: str


Event = Delta | Finished | Failed
Deliver = Callable[[Event], None]
"""Called in the engine's thread; must not block."""


class Ticket(Protocol):
    """One running or waiting answer."""

    def cancel(self) -> None:
        """Stop and free the slot within one step; from any thread, more than once is allowed."""


class Engine(Protocol):
    """Something that answers."""

    model: str
    context_tokens: int

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The conversation in the engine's tokens."""

    def start(self, prompt: Prompt, sampling: Sampling, deliver: Deliver) -> Ticket:
        """Begin an answer; its events go to `deliver`, ending with `Finished` or `Failed`."""

    def load(self) -> tuple[int, int]:
        """Answers under way and answers waiting."""

    @property
    def failure(self) -> str:
        """Why the engine stopped answering; empty while it runs."""

    def close(self) -> None:
        """Stop; answers under way fail."""


class BusyError(OurError):
    """The embedded model has too many requests waiting."""

    code = "engine_busy"
    http_status = 429


class ContextError(CallerError):
    """The conversation does not fit the model's context."""

    code = "context_length_exceeded"


def room_for_answer(engine: Engine, prompt: Prompt, wanted: int) -> int:
    """Output tokens that still fit: at most `wanted`.

    Raises:
        ContextError: the prompt leaves no room for one token.
    """
    left = engine.context_tokens - prompt.tokens
    if left < 1:
        raise ContextError(
            f"the messages take {prompt.tokens} tokens and {engine.model} holds "
            f"{engine.context_tokens} with its answer",
            hint="shorten the messages or raise model.context_tokens",
            field="messages",
        )
    return min(wanted, left)
