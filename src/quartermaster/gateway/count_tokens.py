"""How many tokens would these messages have? `count_tokens` where nobody counts exactly.

Anthropic calls its own count an estimate. Ours is coarser, because the gateway holds no
vocabulary: bytes of text by four, and a stated figure for each image and page of media.

Source: platform.claude.com/docs/en/build-with-claude/token-counting.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects.body import NULL, encode, read
from quartermaster.gateway.dialects.messages_blocks import decode_turns
from quartermaster.gateway.dialects.messages_turns import chat_messages
from quartermaster.gateway.pieces import tokens_of_bytes
from quartermaster.gateway.wire import ChatCall

# Anthropic's documented bound for one image that was scaled to fit (about 1.15 megapixels / 750).
MEDIA_TOKENS: Final = 1_600
# A message costs a few tokens beyond its text: role and separators.
MESSAGE_TOKENS: Final = 4


def estimate(call: ChatCall) -> bytes:
    """The reply's body.

    Args:
        call: an Anthropic request; everything a message request checks is checked here too.

    Raises:
        RefusedError: 400 for messages that no request may have.
    """
    fields = call.fields
    turns = read(decode_turns, fields["messages"], "messages")
    tokens = 0
    for message in chat_messages(fields.get("system", NULL), turns):
        tokens += MESSAGE_TOKENS
        content = message.get("content")
        for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            if part["type"] == "text":
                tokens += tokens_of_bytes(len(str(part["text"] or "").encode()))
            else:
                tokens += MEDIA_TOKENS
        if "tool_calls" in message:
            tokens += tokens_of_bytes(len(encode(message["tool_calls"])))
    tools = fields.get("tools", msgspec.Raw(b""))
    return encode({"input_tokens": tokens + tokens_of_bytes(len(bytes(tools)))})
