"""What every stream translator keeps for the relay, and how it reads the upstream's frames."""

from typing import Protocol

from quartermaster.gateway.dialects.frames import BrokenStreamError, Frames, payload_of
from quartermaster.kernel.errors import RefusedError, UpstreamError
from quartermaster.kernel.units import Counts


class Translator(Protocol):
    """Upstream payloads in, client frames out; one stream."""

    @property
    def deltas(self) -> int:
        """Content deltas that went on."""

    @property
    def text_bytes(self) -> int:
        """Bytes of the text in them."""

    @property
    def done(self) -> bool:
        """Whether the upstream said its end."""

    @property
    def error(self) -> bool:
        """Whether the upstream said that it failed; the client has read it."""

    @property
    def finish_reason(self) -> str:
        """Why the model stopped; empty while it has not."""

    @property
    def upstream_id(self) -> str:
        """The upstream's id of the answer."""

    @property
    def usage(self) -> bytes:
        """The upstream's usage object so far."""

    def event(self, payload: bytes) -> bytes:
        """The client frames that one upstream event leads to; may be empty.

        Raises:
            UpstreamError: an event that cannot be.
        """

    def closing(self, counts: Counts) -> bytes:
        """The last frames; they may leave only when the close record is durable."""

    def cut(self) -> bytes | None:
        """The output ends at its cap: frames before the `closing` ones, which say so.

        None where the dialect's last frame holds what only the upstream knows: an error ends it.
        """

    def broken(self, refusal: RefusedError) -> bytes:
        """The frame that tells the client why there is no more."""


class TranslatedStream:
    """Bytes of an upstream's stream in, bytes for the client out.

    Args:
        translator: knows the two dialects.
        frame_bytes_max: bound of one upstream frame.
    """

    __slots__ = ("_frames", "translator")

    def __init__(self, translator: Translator, frame_bytes_max: int) -> None:
        self.translator = translator
        self._frames = Frames(frame_bytes_max)

    def feed(self, data: bytes) -> bytes:
        """The bytes to forward now.

        Raises:
            UpstreamError: a frame without end, or an event that cannot be: a `BrokenStreamError`,
                with what came before it.
        """
        return events_of(self.translator, self._frames.feed(data))

    def finish(self) -> bytes:
        """The upstream's stream ended: take a last frame whose blank line is missing."""
        return events_of(self.translator, self._frames.finish())


def events_of(translator: Translator, frames: list[bytes]) -> bytes:
    """The client frames of some upstream frames, up to the stream's end.

    What is counted as delivered is delivered, also where it came with what cannot be.

    Raises:
        BrokenStreamError: an event that cannot be, with the client frames before it.
    """
    out: list[bytes] = []
    try:
        for frame in frames:
            if translator.done or translator.error:
                break
            payload = payload_of(frame)
            if payload:
                out.append(translator.event(payload))
    except BrokenStreamError as error:
        raise BrokenStreamError(error.message, b"".join(out) + error.before) from error
    except UpstreamError as error:
        raise BrokenStreamError(error.message, b"".join(out)) from error
    return b"".join(out)
