"""The legacy completions, embeddings and media: passed on as they are, usage asked for and read.

Sources: the OpenAI API reference, `/v1/completions`, `/v1/embeddings`, `/v1/images`, `/v1/audio`,
`/v1/moderations`.
"""

from typing import Final

import msgspec

from quartermaster.gateway.dialects import errors
from quartermaster.gateway.dialects.body import (
    ABSENT,
    EMPTY,
    NULL,
    TRUE,
    UNREADABLE,
    encode,
    fields_of,
    flag,
    given,
    model_of,
    raw,
    read,
    required,
    unsupported,
)
from quartermaster.gateway.dialects.frames import DONE, data
from quartermaster.gateway.dialects.routes import Operation
from quartermaster.gateway.pieces import text_bytes_of
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.units import Counts

_STANDARD_TIERS: Final = frozenset((b"null", b'"auto"', b'"default"'))
_DONE: Final = data(DONE)
# What each operation cannot do without.
_NEEDED: Final[dict[Operation, str]] = {
    "completions": "prompt",
    "embeddings": "input",
    "moderations": "input",
    "images.generations": "prompt",
    "images.edits": "prompt",
    "audio.speech": "input",
}
STREAMED: Final[frozenset[Operation]] = frozenset(("completions",))
"""Of these operations only legacy completions are streamed and metered on the way; to stream
speech or images is refused, because their events carry no usage that is read here."""

_decode_options = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_call(operation: Operation, body: bytes) -> ChatCall:
    """What routing and metering need of the request; everything else stays as it came.

    Raises:
        RefusedError: 400 with the parameter at fault.
    """
    fields = fields_of(body)
    model = model_of(fields)
    needed = _NEEDED.get(operation)
    if needed is not None:
        required(fields, needed)
    if bytes(fields.get("service_tier", NULL)) not in _STANDARD_TIERS:
        raise unsupported("service_tier", "Only the service tiers 'auto' and 'default' are served.")
    stream = flag(fields, "stream")
    if operation == "images.edits":
        images_of(fields)
    if operation not in STREAMED:
        if stream or given(fields, "stream_format") is not None:
            raise unsupported("stream", "This operation is not streamed here.")
        return ChatCall(model, False, True, fields, len(body))
    asks_usage = False
    options = given(fields, "stream_options")
    if stream and options is not None:
        asks_usage = flag(read(_decode_options, options, "stream_options"), "include_usage")
    return ChatCall(model, stream, asks_usage, fields, len(body))


class _Image(msgspec.Struct):
    image_url: str | None = None
    file_id: str | None = None


_decode_images = msgspec.json.Decoder(list[_Image]).decode
_decode_image = msgspec.json.Decoder(_Image).decode


def images_of(fields: dict[str, msgspec.Raw]) -> int:
    """How many images a JSON edit is made from, its mask among them.

    Raises:
        RefusedError: 400, there is none, or one lies in a file that the model server has not.
    """
    required(fields, "images")
    images = read(_decode_images, fields["images"], "images")
    mask = given(fields, "mask")
    every = images if mask is None else [*images, read(_decode_image, mask, "mask")]
    for one in every:
        if one.file_id is not None:
            raise unsupported("images", "Files are not kept for images; give an image_url.")
        if one.image_url is None:
            raise unsupported("images", "Each image needs an image_url.")
    return len(every)


def upstream_body(call: ChatCall, upstream_model: bytes) -> bytes:
    """The body for the model server: its own model name, and usage always asked for.

    Args:
        call: the decoded request.
        upstream_model: the JSON string of the deployment's model name.
    """
    fields = call.fields
    fields["model"] = msgspec.Raw(upstream_model)
    if call.stream and not call.asks_usage:
        options = given(fields, "stream_options")
        asked = {} if options is None else read(_decode_options, options, "stream_options")
        asked["include_usage"] = TRUE
        fields["stream_options"] = raw(asked)
    return encode(fields)


class _Choice(msgspec.Struct, gc=False):
    text: msgspec.Raw = ABSENT
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class NativeCompletions:
    """Passes one legacy stream on; see `translated.Translator` for what the relay reads.

    Args:
        asks_usage: the client asked for the usage chunk; otherwise it is hidden again.
    """

    __slots__ = (
        "_asks_usage",
        "_held",
        "deltas",
        "done",
        "error",
        "finish_reason",
        "text_bytes",
        "upstream_id",
        "usage",
    )

    def __init__(self, *, asks_usage: bool) -> None:
        self._asks_usage = asks_usage
        self._held = b""
        self.deltas = self.text_bytes = 0
        self.done = False
        self.error = False
        self.finish_reason = ""
        self.upstream_id = ""
        self.usage = b""

    def event(self, payload: bytes) -> bytes:
        """The same chunk, or nothing when it is the usage chunk.

        Raises:
            UpstreamError: no chunk.
        """
        if payload == DONE:
            self.done = True
            return b""
        try:
            seen = _decode_chunk(payload)
        except UNREADABLE as error:
            raise UpstreamError("the model server sent no completion chunk") from error
        self.upstream_id = self.upstream_id or seen.id or ""
        for choice in seen.choices or ():
            text = bytes(choice.text)
            if text not in EMPTY:
                self.deltas += 1
                self.text_bytes += text_bytes_of(text)
            self.finish_reason = choice.finish_reason or self.finish_reason
        self.error = self.error or bytes(seen.error) not in EMPTY
        if bytes(seen.usage) not in EMPTY:
            self.usage = bytes(seen.usage)
            if not seen.choices:
                self._held = data(payload) if self._asks_usage else b""
                return b""
        return data(payload)

    def closing(self, counts: Counts) -> bytes:
        """The usage chunk, where the client asked for it, and `[DONE]`."""
        del counts  # the vendor's own counts stand in the chunk
        return self._held + _DONE

    def cut(self) -> bytes:
        """The output ends at its cap."""
        self._held = b""
        end = {"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}
        body = {"id": self.upstream_id, "object": "text_completion", "choices": [end]}
        return data(encode(body))

    def broken(self, refusal: RefusedError) -> bytes:
        """An error frame; no `[DONE]` follows it."""
        return data(errors.refusal_body("openai", refusal))
