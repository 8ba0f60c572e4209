"""ChatML: the one chat template of SmolLM2, as pieces that cannot be forged by message text."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant"]

DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""Put first where the caller gives no system message: the template inside the weights file does."""

TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation, text only."""

    role: Role
    content: str


class Segment(msgspec.Struct, frozen=True):
    """Template text; only `control` segments may become control tokens.

    A message that contains the literal text `<|im_end|>` stays text, so a user cannot close the
    turn and speak as the system.
    """

    text: str
    control: bool


def render(messages: Sequence[Message]) -> list[Segment]:
    """The conversation as ChatML, ending where the assistant's answer begins.

    Joined, the segments equal the output of the `tokenizer.chat_template` field of the weights
    file with `add_generation_prompt`.
    """
    turns = list(messages)
    if not turns or turns[0].role != "system":
        turns.insert(0, Message("system", DEFAULT_SYSTEM))
    segments = []
    for turn in turns:
        segments += [
            Segment(TURN_START, control=True),
            Segment(f"{turn.role}\n{turn.content}", control=False),
            Segment(TURN_END, control=True),
            Segment("\n", control=False),
        ]
    return [*segments, Segment(TURN_START, control=True), Segment("assistant\n", control=False)]
