"""A multipart upload as it arrives: the file goes to disk sealed, chunk by chunk, never in memory.

The boundary is read from the first line, where every client puts it; so the gateway, which hands
the body on unseen, need not tell it.
"""

import re
from collections.abc import Callable
from typing import Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from quartermaster.book.sealed_files import SealedWriter
from quartermaster.kernel.errors import DataError, RefusedError, UsageError

# RFC 2046, 5.1.1: up to 70 of these.
_FIRST_LINE: Final = re.compile(rb"--([0-9A-Za-z'()+_,\-./:=? ]{1,70})\r\n")
_FIRST_LINE_BYTES_MAX: Final = 2 + 70 + 2
_NAME: Final = re.compile(rb';[ \t]*name="([^"\r\n]*)"', re.IGNORECASE)
_FILENAME: Final = re.compile(rb';[ \t]*filename="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE)
# Three fields and the file; each costs some memory, so a form of thousands is an attack.
PARTS_MAX: Final = 16
FIELD_BYTES_MAX: Final = 1_024
"""Purposes and numbers are short."""
HEAD_BYTES_MAX: Final = 4_096
"""A part's head is one or two short lines."""
CONTENT_TOO_LARGE = 413
FILE: Final = "file"


class Upload:
    """Reads one form.

    Args:
        writer: takes the file's content.
        bytes_max: of the file.
        cover: told how large the file is about to be, before that is written; may refuse.
    """

    def __init__(self, writer: SealedWriter, bytes_max: int, cover: Callable[[int], None]) -> None:
        self._writer, self._bytes_max, self._cover = writer, bytes_max, cover
        self._parser: MultipartParser | None = None
        self._begin = bytearray()
        self._parts = self._head_bytes = 0
        self._head = bytearray()
        self._disposition = b""
        self._field = ""
        self._value = bytearray()
        self._ended = False
        self.fields: dict[str, str] = {}
        self.filename: str | None = None

    def feed(self, data: bytes) -> None:
        """The next bytes of the body.

        Raises:
            DataError: not a form.
            UsageError: a field stands twice, or is none of a form's.
            RefusedError: 413, the file is too large, or `cover` has refused it.
        """
        if self._parser is None:
            self._begin += data
            first = _FIRST_LINE.match(self._begin)
            if first is None:
                if len(self._begin) >= _FIRST_LINE_BYTES_MAX or b"\n" in self._begin:
                    raise _no_form()
                return
            self._parser = self._made(first[1])
            data, self._begin = bytes(self._begin), bytearray()
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise _no_form() from error

    def finish(self) -> None:
        """The body has ended.

        Raises:
            DataError: the form has not.
            UsageError: it has no file.
        """
        if not self._ended:
            raise _no_form()
        if self.filename is None:
            raise UsageError("Missing required parameter: 'file'.", field=FILE)

    def _made(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_end": self._form_ends,
            },
        )

    # Callbacks of the parser, in the order in which it calls them.

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise UsageError(f"The form has more than {PARTS_MAX} fields.")
        self._field, self._disposition = "", b""
        self._head.clear()
        self._value.clear()
        self._head_bytes = 0

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._head += data[start:end].lower()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        if bytes(self._head) == b"content-disposition":
            self._disposition += data[start:end]

    def _header_ends(self) -> None:
        self._head.clear()

    def _headers_end(self) -> None:
        name = _NAME.search(b";" + self._disposition.partition(b";")[2])
        if name is None:
            raise _no_form()
        field = name[1].decode("utf-8", "replace")
        if field in self.fields or (field == FILE and self.filename is not None):
            raise UsageError(f"'{field}' stands twice.", field=field)
        if field == FILE:
            filename = _FILENAME.search(self._disposition)
            if filename is None:
                raise UsageError("'file' is not a file.", field=FILE)
            self.filename = filename[1].decode("utf-8", "replace").replace("%22", '"')
        self._field = field

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field == FILE:
            size = self._writer.size + end - start
            if size > self._bytes_max:
                raise RefusedError(
                    f"The file is larger than {self._bytes_max} bytes.",
                    code="request_too_large",
                    http_status=CONTENT_TOO_LARGE,
                    field=FILE,
                )
            self._cover(size)
            self._writer.write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_BYTES_MAX:
            raise UsageError(f"'{self._field}' is too long.", field=self._field)

    def _part_ends(self) -> None:
        if self._field != FILE:
            self.fields[self._field] = self._value.decode("utf-8", "replace")

    def _form_ends(self) -> None:
        self._ended = True

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            raise _no_form()


def _no_form() -> DataError:
    return DataError("The request body must be multipart/form-data that is complete.")
