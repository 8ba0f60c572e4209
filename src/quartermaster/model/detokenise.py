"""From token bytes to text that may be shown: whole characters only, and no stop string."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Turns token bytes into final text, step by step.

    A token may end inside a UTF-8 character, and text may begin a stop string that the next token
    completes; both are held back until they are decided. Joined, the pieces equal the whole text
    up to the first stop string.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.stopped = False

    def feed(self, piece: bytes) -> str:
        """Text that became final with these bytes; sets `stopped` at a complete stop string."""
        return self._release(self._decoder.decode(piece))

    def finish(self) -> str:
        """The rest, when no more tokens come; a cut character becomes U+FFFD."""
        if self.stopped:
            return ""
        text = self._release(self._decoder.decode(b"", final=True))
        rest, self._held = self._held, ""
        return text + rest

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        self._held += text
        hits = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if hits:
            self.stopped = True
            return self._held[: min(hits)]
        keep = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        cut = len(self._held) - keep
        ready, self._held = self._held[:cut], self._held[cut:]
        return ready


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)
