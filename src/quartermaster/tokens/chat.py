"""What a chat costs beyond its texts: OpenAI's message overhead.

Source: OpenAI cookbook, "How to count tokens with tiktoken", section 6: three tokens a message, one
a name, three to prime the reply. The cookbook calls it an estimate, so do we: tools and newer
models differ by a few tokens.
"""

from collections.abc import Iterable, Mapping

from quartermaster.kernel.units import CountSource
from quartermaster.tokens.count import count

TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_PRIMING_REPLY = 3


def count_messages(
    messages: Iterable[Mapping[str, str]], model_or_encoding: str
) -> tuple[int, CountSource]:
    """Input tokens of a chat request with text messages (`role`, `content`, perhaps `name`)."""
    total = TOKENS_PRIMING_REPLY
    for message in messages:
        total += TOKENS_PER_MESSAGE
        total += sum(count(text, model_or_encoding)[0] for text in message.values())
        total += TOKENS_PER_NAME if "name" in message else 0
    return total, "estimated"
