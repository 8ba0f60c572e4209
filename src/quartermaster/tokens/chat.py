"""What a chat costs beyond its texts: OpenAI's message overhead.

Source: OpenAI cookbook, "How to count tokens with tiktoken", section 6: three tokens a message, one
a name, three to prime the reply. The cookbook calls it an estimate, so do we: tools and newer
models differ by a few tokens.
"""

from collections.abc import Iterable

import msgspec

from quartermaster.kernel.errors import DataError
from quartermaster.kernel.units import CountSource
from quartermaster.tokens.count import count

TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_PRIMING_REPLY = 3


class ChatMessage(msgspec.Struct, frozen=True):
    """A text message of a chat request."""

    role: str
    content: str
    name: str = ""


def read_messages(text: str) -> list[ChatMessage]:
    """Messages from JSON.

    Raises:
        DataError: not a list of text messages; names the place.
    """
    try:
        return msgspec.json.decode(text, type=list[ChatMessage])
    except msgspec.DecodeError as error:
        raise DataError(
            f"no list of messages: {error}", hint='write [{"role": "user", "content": "..."}]'
        ) from error


def count_messages(
    messages: Iterable[ChatMessage], model_or_encoding: str
) -> tuple[int, CountSource]:
    """Input tokens of a chat request."""
    total = TOKENS_PRIMING_REPLY
    for message in messages:
        texts = (message.role, message.content, message.name)
        total += TOKENS_PER_MESSAGE + (TOKENS_PER_NAME if message.name else 0)
        total += sum(count(text, model_or_encoding)[0] for text in texts)
    return total, "estimated"
