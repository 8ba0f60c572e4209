"""A client's head that was accepted once, recognised when the same client sends it again.

An SDK sends the same dozen headers with every request of a connection; only the length of the body
differs. What the strict parser has accepted once it accepts again, so the same bytes around other
digits need no second parse. Anything else, a byte more or less, goes to the parser.

The head holds the customer's key, and a proxy in front may share one connection between customers:
the comparison takes the same time wherever two heads differ.
"""

import re
from hmac import compare_digest
from typing import Final, Self

from quartermaster.gateway.index import Entry

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)
_END: Final = b"\r\n\r\n"
# Digits of a length; beyond a petabyte nothing is one, and the parser says so.
_WIDTHS: Final = range(1, 16)


class RepeatedHead:
    """One accepted head, split at the digits of its Content-Length.

    Args:
        before: the head up to the digits.
        after: from the digits to the end of the head.
        target: the request target.
        authorization: the header's value.
    """

    __slots__ = (
        "_after", "_around", "_before", "_width", "agent", "authorization", "entry", "forwarded",
        "target",
    )  # fmt: skip

    def __init__(self, before: bytes, after: bytes, target: bytes, authorization: bytes) -> None:
        self._before = before
        self._after = after
        self._around = len(before) + len(after)
        self._width = 1
        """Digits of the last length."""
        self.entry: Entry | None = None
        """Whose key it is, once it was admitted; good for as long as the index has this very entry.
        The index itself is not held: idle connections would keep every snapshot of a minute."""
        self.forwarded = b""
        """The header `X-Forwarded-For`; the same bytes say the same."""
        self.agent = b""
        """The header `User-Agent`."""
        self.target = target
        self.authorization = authorization

    @classmethod
    def learn(cls, data: bytes, target: bytes, authorization: bytes) -> Self | None:
        """From one whole request as it came, or None when its head cannot be told from its body.

        Args:
            data: an accepted HTTP/1.1 POST with a length, kept alive, and nothing behind it.
            target: its target.
            authorization: its Authorization header.
        """
        end = data.find(_END) + len(_END)
        length = _LENGTH.search(data, 0, end)
        if length is None or len(data) - end != int(length[1]):
            return None
        return cls(data[: length.start(1)], data[length.end(1) : end], target, authorization)

    def body_of(self, data: bytes, body_bytes_max: int) -> bytes | None:
        """The body, when the data is one whole request with this head; else None.

        Args:
            data: what the client sent after its last request.
            body_bytes_max: a longer body is the parser's to refuse.
        """
        # The length that the head has to state follows from how much came: one comparison for all.
        rest = len(data) - self._around
        digits = b"%d" % (rest - self._width)
        if len(digits) != self._width:
            widths = (width for width in _WIDTHS if len(b"%d" % (rest - width)) == width)
            self._width = next(widths, 0)
            if not self._width:
                return None  # no length and its own digits come to this
            digits = b"%d" % (rest - self._width)
        head = self._before + digits + self._after
        at = len(head)
        if len(data) - at > body_bytes_max or not compare_digest(data[:at], head):
            return None
        return data[at:]
