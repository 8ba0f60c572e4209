"""A model server's response head, recognised when it comes again with another date and length.

A server sends the same headers with every answer; only some of their values differ. After one
answer that the strict parser has accepted, the next one with the same status, the same header
names in the same order, and the same values wherever a value means something to us or to HTTP's
framing, needs no second parse: the length alone is read. Anything else goes to the parser.

A date changes once a second, so most heads are the last one with other digits in the length; that
is looked at first.
"""

import re
from typing import Final, Self

_END: Final = b"\r\n\r\n"
# An interim head has no body, whatever length it claims: what follows it is the answer.
_STATUS: Final = b"HTTP/1.1 200"
_LENGTH: Final = b"content-length"
# What decides how the body ends, what it is, and whether the connection lives on.
_MEANINGFUL: Final = frozenset(
    (
        b"connection", b"content-encoding", b"content-range", b"content-type", b"keep-alive",
        b"proxy-connection", b"retry-after", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip
# What a header value may hold (RFC 9110, 5.5): no line break, no NUL, no DEL.
_ANY_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*"
# Beyond a petabyte nothing is a length; the parser says so.
_DIGITS_MAX: Final = 15
_SOME_LENGTH: Final = rb"[ \t]*([0-9]{1,%d})[ \t]*" % _DIGITS_MAX
# Model servers send a dozen; a pattern of hundreds would cost more than the parser.
_HEADERS_MAX: Final = 32


class RepeatedAnswer:
    """The head of a complete 200 answer with a length.

    Args:
        pattern: matches such heads; its group is the length.
        content_type: the header's value.
    """

    __slots__ = ("_after", "_around", "_before", "_match", "_width", "content_type")

    def __init__(self, pattern: re.Pattern[bytes], content_type: bytes) -> None:
        self._match = pattern.match
        self._before = _END  # no head begins so
        self._after = b""
        self._around = self._width = 0
        self.content_type = content_type

    @classmethod
    def learn(cls, data: bytes, content_type: bytes) -> Self | None:
        """From one whole response as it came, or None when its head is not of that kind.

        Args:
            data: an accepted HTTP/1.1 response that keeps the connection, and nothing behind it.
            content_type: its content type.
        """
        head, found, body = data.partition(_END)
        status, *headers = head.split(b"\r\n")
        if not (found and status.startswith(_STATUS)) or len(headers) > _HEADERS_MAX:
            return None
        parts = [re.escape(status)]
        lengths = []
        for header in headers:
            name, _, value = header.partition(b":")
            lower = name.lower()
            if lower == _LENGTH:
                lengths.append(value.strip())
                value_pattern = _SOME_LENGTH
            else:
                value_pattern = re.escape(value) if lower in _MEANINGFUL else _ANY_VALUE
            parts.append(re.escape(name) + b":" + value_pattern)
        if len(lengths) != 1 or not lengths[0].isdigit() or int(lengths[0]) != len(body):
            return None
        return cls(re.compile(b"\r\n".join(parts) + _END), content_type)

    def body_of(self, data: bytes) -> bytes | None:
        """The body, when the data is one whole response with this head; else None."""
        # The length that the head has to state follows from how much came.
        digits = b"%d" % (len(data) - self._around - self._width)
        head = self._before + digits + self._after
        if len(digits) == self._width and data.startswith(head):
            return data[len(head) :]
        match = self._match(data)
        if match is None:
            return None
        self._before = data[: match.start(1)]
        self._after = data[match.end(1) : match.end()]
        self._width = len(match[1])
        self._around = match.end() - self._width
        body = data[match.end() :]
        return body if len(body) == int(match[1]) else None
