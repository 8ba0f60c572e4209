"""What an operator may set for the embedded model (`[model]` in the settings file)."""

from typing import Literal

import msgspec

from quartermaster.kernel.errors import ConfigError

EngineChoice = Literal["auto", "smollm2", "toy"]

SMOLLM2 = "smollm2-135m-instruct"
"""The name under which the real model is served, whether or not it is up."""

SLOTS_MAX = 16
"""Beyond 8 the aggregate rate stops rising on one thread (110 tokens/s at 8, 106 at 16)."""

CONTEXT_TOKENS_MAX = 8_192
"""What SmolLM2 was trained for."""

CONTEXT_TOKENS_MIN = 64
"""A chat template with a short question; less cannot answer anything."""

THREADS_MAX = 64
"""A larger number is a typing error; the model is too small to use so many."""


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the embedded model server.

    `engine`: `auto` serves SmolLM2 where weights and runtime are present and says so where not;
    `smollm2` refuses to start without them; `toy` serves the toy alone. `path` names a weights
    file outside `var` (air-gapped use). `threads`: one by default, because on a contended machine
    two fell from 66 to 1-6 tokens/s (spin barriers). `context_tokens`: per slot, prompt and answer.
    """

    path: str = ""
    engine: EngineChoice = "auto"
    threads: int = 1
    slots: int = 8
    port: int = 8472
    context_tokens: int = 2_048

    def __post_init__(self) -> None:
        _within("threads", self.threads, 1, THREADS_MAX)
        _within("slots", self.slots, 1, SLOTS_MAX)
        _within("port", self.port, 0, 65_535)
        _within("context_tokens", self.context_tokens, CONTEXT_TOKENS_MIN, CONTEXT_TOKENS_MAX)


def _within(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(
            f"model.{field} = {value} is out of range",
            hint=f"use a whole number from {low} to {high}",
            field=f"model.{field}",
        )
