"""The Anthropic Messages shapes that the gateway reads, from clients and from upstreams.

Source: platform.claude.com/docs/en/api/messages.
"""

import msgspec

from quartermaster.gateway.dialects.body import ABSENT


class Source(msgspec.Struct, gc=False):
    """Where the bytes of an image or a document are."""

    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: msgspec.Raw = ABSENT


class Block(msgspec.Struct, gc=False):
    """One content block of any type; what a type does not have stays absent."""

    type: str
    text: str | None = None
    source: msgspec.Raw = ABSENT
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = ABSENT
    tool_use_id: str | None = None
    content: msgspec.Raw = ABSENT
    title: str | None = None
    thinking: str | None = None


class Turn(msgspec.Struct, gc=False):
    """One message of a conversation."""

    role: str
    content: str | list[Block]


class Tool(msgspec.Struct, gc=False):
    """One tool of a request; only custom tools have an `input_schema`."""

    name: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = ABSENT
    type: str | None = None
    strict: bool | None = None


class ToolChoice(msgspec.Struct, gc=False):
    """How the model should use the tools."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, gc=False):
    """The thinking setting."""

    type: str
    budget_tokens: int | None = None


class OutputFormat(msgspec.Struct, gc=False):
    """The form of a structured output."""

    type: str
    schema: msgspec.Raw = ABSENT


class OutputConfig(msgspec.Struct, gc=False):
    """Effort and form of the output."""

    effort: str | None = None
    format: OutputFormat | None = None


class Metadata(msgspec.Struct, gc=False):
    """Whom the request is for."""

    user_id: str | None = None


class Message(msgspec.Struct, gc=False):
    """A whole answer."""

    content: list[Block]
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: msgspec.Raw = ABSENT


decode_source = msgspec.json.Decoder(Source).decode
decode_system = msgspec.json.Decoder(str | list[Block]).decode
decode_content = msgspec.json.Decoder(str | list[Block]).decode
decode_turns = msgspec.json.Decoder(list[Turn]).decode
decode_tools = msgspec.json.Decoder(list[Tool]).decode
decode_choice = msgspec.json.Decoder(ToolChoice).decode
decode_thinking = msgspec.json.Decoder(Thinking).decode
decode_output = msgspec.json.Decoder(OutputConfig).decode
decode_metadata = msgspec.json.Decoder(Metadata).decode
decode_message = msgspec.json.Decoder(Message).decode
