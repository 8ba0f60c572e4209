"""Token counts of a text: exact for OpenAI's encodings, offline; a flagged estimate for others."""

from functools import cache
from importlib import import_module
from typing import Protocol

from quartermaster.kernel.units import CountSource
from quartermaster.tokens.encodings import Encoding, encoding_of

ESTIMATE_BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb, "about 4 characters of English a token", taken on UTF-8 bytes so that
scripts with few characters a token are not undercounted by a factor."""


class _Counter(Protocol):
    def count(self, text: str) -> int:
        """How many tokens."""


def count(text: str, model_or_encoding: str) -> tuple[int, CountSource]:
    """How many tokens the text is, and who says so.

    Args:
        text: counted as ordinary text: `<|endoftext|>` written by a user is characters, never a
            control token, as in a chat message. Lone surrogates count as U+FFFD, as in tiktoken.
        model_or_encoding: an OpenAI model or encoding name, or any other model's name.

    Returns:
        The count with `tokenizer` when it equals the vendor's own, else with `estimated`: for
        another vendor's model, and where the `tokens` extra is not installed.
    """
    encoding = encoding_of(model_or_encoding)
    counter = None if encoding is None else _counter(encoding)
    text = _whole(text)
    if counter is None:
        return estimate(text), "estimated"
    return counter.count(text), "tokenizer"


def estimate(text: str) -> int:
    """A guess from the length alone: bytes over four, rounded up."""
    return -(-len(text.encode()) // ESTIMATE_BYTES_PER_TOKEN)


@cache
def _counter(encoding: Encoding) -> _Counter | None:
    """The vocabulary, compiled into `rs_bpe`; 20-40 ms at the first call, never at import."""
    try:
        vocabularies = import_module("rs_bpe.bpe").openai
    except ImportError:
        return None
    counter: _Counter = getattr(vocabularies, encoding)()
    return counter


def _whole(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
