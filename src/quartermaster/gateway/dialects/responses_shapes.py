"""The Responses API shapes that the gateway reads.

Source: the OpenAI API reference, `POST /v1/responses`.
"""

import msgspec

from quartermaster.gateway.dialects.body import ABSENT


class Part(msgspec.Struct, gc=False):
    """One part of a message or of a function's output."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_data: str | None = None
    filename: str | None = None


class Item(msgspec.Struct, gc=False):
    """One input item of any type; a message may leave its type out."""

    type: str = "message"
    role: str | None = None
    content: msgspec.Raw = ABSENT
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: msgspec.Raw = ABSENT


class Tool(msgspec.Struct, gc=False):
    """One tool; only functions are served."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None


class Choice(msgspec.Struct, gc=False):
    """A tool choice that is an object."""

    type: str
    name: str | None = None


class Format(msgspec.Struct, gc=False):
    """`text.format`."""

    type: str
    name: str | None = None
    schema: msgspec.Raw = ABSENT
    strict: bool | None = None
    description: str | None = None


class Text(msgspec.Struct, gc=False):
    """`text`."""

    format: Format | None = None
    verbosity: str | None = None


class Reasoning(msgspec.Struct, gc=False):
    """`reasoning`."""

    effort: str | None = None


class Ended(msgspec.Struct, gc=False):
    """What the meter reads of a response object."""

    id: str | None = None
    status: str | None = None
    usage: msgspec.Raw = ABSENT
    output: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class Event(msgspec.Struct, gc=False):
    """What the meter reads of a stream event."""

    type: str
    response: Ended | None = None
    delta: msgspec.Raw = ABSENT
    sequence_number: int | None = None


decode_input = msgspec.json.Decoder(str | list[Item]).decode
decode_content = msgspec.json.Decoder(str | list[Part]).decode
decode_tools = msgspec.json.Decoder(list[Tool]).decode
decode_choice = msgspec.json.Decoder(str | Choice).decode
decode_text = msgspec.json.Decoder(Text).decode
decode_reasoning = msgspec.json.Decoder(Reasoning).decode
decode_ended = msgspec.json.Decoder(Ended).decode
decode_event = msgspec.json.Decoder(Event).decode
