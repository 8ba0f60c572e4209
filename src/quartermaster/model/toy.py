"""The packaged toy model: no weights, no numpy, instant, and it says what it is.

Its answers are a fixed declaration, what it was asked, and sentences drawn from a packaged list by
a hash of prompt and seed, so answers differ in length and wording as real ones do, and repeat
exactly. It serves tests and first starts on machines without the weights.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b

from quartermaster.model.chat import Message, render
from quartermaster.model.detokenise import TextStream
from quartermaster.model.generation import (
    Deliver,
    Delta,
    Finished,
    FinishReason,
    Prompt,
    Sampling,
)

TOY = "toy"

TOY_CONTEXT_TOKENS = 8_192
"""As the real model's training context, so that requests valid for one are valid for both."""

TOKEN = re.compile(r" ?\w{1,16}| ?[^\w\s]|\s")
"""A token of the toy: up to 16 word characters or one other visible character, each with at most
one space before it, or one white-space character. Every text splits into tokens without a rest."""

ECHO_TOKENS_MAX = 24
"""Enough of the question to see that it arrived."""

SENTENCES_MAX = 8
"""Some 150 tokens in all: longer than a chunk, shorter than a reader's patience."""

DECLARATION = (
    "This is the toy model of Quartermaster: it has no weights and does not think; "
    "it shows that requests, streaming and metering work."
)

SENTENCES = (
    "A ship counts its stores before it leaves the harbour.",
    "What is not measured on the quay is missing at sea.",
    "One buyer for the whole cargo is a comfort until the day he stays away.",
    "Every barrel is written down once, by the one who hands it over.",
    "A ledger that balances tells nothing about tomorrow's wind.",
    "The cook asks for salt, the carpenter for nails, the captain for time.",
    "Rope is sold by the fathom and trusted by the yard.",
    "Who copies the chart owes thanks to the one who sounded the depths.",
    "An empty berth costs as much as a full one.",
    "The night watch writes less and sees more.",
    "Good stores are dull to read about and pleasant to open.",
    "No tally is late that was taken in time.",
)


def tokenise(text: str) -> list[str]:
    """The toy's tokens; joined they give the text back."""
    return TOKEN.findall(text)


class ToyEngine:
    """An `Engine` that answers at once."""

    model = TOY
    context_tokens = TOY_CONTEXT_TOKENS

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The conversation in the chat template; ids are positions in it, since nothing is learnt.

        The template's own words are counted, as the real model counts them.
        """
        text = "".join(segment.text for segment in render(messages))
        return Prompt(tuple(range(len(tokenise(text)))), messages[-1].content)

    def start(self, prompt: Prompt, sampling: Sampling, deliver: Deliver) -> "ToyTicket":
        """Deliver the whole answer before returning, one event a token."""
        stream = TextStream(sampling.stop)
        reason: FinishReason = "stop"
        count = 0
        for token in answer_tokens(prompt.text, sampling):
            if count == sampling.tokens_max:
                reason = "length"
                break
            count += 1
            if text := stream.feed(token.encode()):
                deliver(Delta(text, count))
            if stream.stopped:
                break
        if rest := stream.finish():
            deliver(Delta(rest, count))
        deliver(Finished(reason, count))
        return ToyTicket()

    def load(self) -> tuple[int, int]:
        """Nothing is ever under way or waiting."""
        return 0, 0

    @property
    def failure(self) -> str:
        """The toy does not fail."""
        return ""

    def close(self) -> None:
        """Nothing to free."""


class ToyTicket:
    """The answer is complete before anybody can cancel it."""

    def cancel(self) -> None:
        """Nothing to stop."""


def answer_tokens(question: str, sampling: Sampling) -> list[str]:
    """The tokens of the answer to a question, all of them.

    Greedy requests (temperature 0) ignore the seed, as the real model does.
    """
    seed = 0 if sampling.temperature == 0 else sampling.seed
    draw = blake2b(question.encode(), key=seed.to_bytes(8, "big", signed=True)).digest()
    asked = tokenise(question)
    echo = "".join(asked[:ECHO_TOKENS_MAX]) + ("…" if len(asked) > ECHO_TOKENS_MAX else "")
    parts = [DECLARATION, f" You wrote {len(asked)} tokens: “{echo}”."]
    parts += [
        f" {SENTENCES[byte % len(SENTENCES)]}" for byte in draw[: draw[-1] % SENTENCES_MAX + 1]
    ]
    return tokenise("".join(parts))
