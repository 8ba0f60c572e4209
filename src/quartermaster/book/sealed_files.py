"""Customers' files on disk: encrypted in chunks, read from any offset, gone with their key.

A file has its own random key, which lies in the book, itself encrypted under a key derived from
the installation's pepper. Whoever has only the folder, or only the book, reads nothing; and a file
whose row is deleted cannot be read any more, whatever a backup of the folder still holds.

AES-256-GCM over chunks of 64 KiB. The nonce is the chunk's number and whether it is the last, so
chunks cannot be swapped, repeated or cut off; the file's id is authenticated with each of them.
Source: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance" (STREAM), 2015.
"""

import logging
import os
import secrets
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from quartermaster.kernel.errors import IntegrityError, NotFoundError, UnavailableError

log = logging.getLogger(__name__)

CHUNK_BYTES = 64 * 1024
"""A line of a batch is read by decrypting one or two chunks; the tags cost 0.02 %."""
KEY_BYTES = 32
TAG_BYTES = 16
NONCE_BYTES = 12
FILE_MODE, FOLDER_MODE = 0o600, 0o700
"""Nobody but the account that runs the product."""
_PURPOSE = b"files"
_FLAG_BYTES = 1


class Sealed(msgspec.Struct, frozen=True):
    """A written file: what the book keeps of it."""

    size: int
    """Bytes of the content."""
    key: bytes
    """Wrapped: of no use without the pepper."""


class Vault:
    """The folder of sealed files.

    Args:
        folder: such as `var/files`; made where it is missing.
        pepper: of this installation.

    Raises:
        UnavailableError: the extra `files` is not installed.
    """

    def __init__(self, folder: Path, pepper: bytes) -> None:
        self._folder = folder
        self._master = _cipher(blake2b(_PURPOSE, key=pepper, digest_size=KEY_BYTES).digest())

    def writer(self, name: str) -> "SealedWriter":
        """Begin a file; nothing is there under its name before `finish`."""
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        key = secrets.token_bytes(KEY_BYTES)
        return SealedWriter(self._path(name), name, key, self.wrap(key, name))

    def reader(self, name: str, sealed: Sealed) -> "SealedReader":
        """A file that was finished.

        Raises:
            NotFoundError: it is not in the folder.
        """
        cipher = _cipher(self.unwrap(sealed.key, name))
        return SealedReader(self._path(name), name, cipher, sealed.size)

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is gone already."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Everything in the folder, finished or not."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir())

    def age_us(self, name: str, now: int) -> int:
        """Microseconds since the file was last written; 0 where it has just gone."""
        try:
            return now - self._path(name).stat().st_mtime_ns // 1_000
        except FileNotFoundError:
            return 0

    def wrap(self, key: bytes, name: str) -> bytes:
        """A key as the book may hold it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + bytes(self._master.encrypt(nonce, key, name.encode()))

    def unwrap(self, wrapped: bytes, name: str) -> bytes:
        """The key again.

        Raises:
            IntegrityError: wrapped for another name, or under another pepper.
        """
        return _open(self._master, wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name)

    def seal(self, key: bytes, number: int, attempt: int, data: bytes, name: str) -> bytes:
        """Encrypt one short record; a number and an attempt are used once with a key."""
        return bytes(_cipher(key).encrypt(_record_nonce(number, attempt), data, name.encode()))

    def unseal(self, key: bytes, number: int, attempt: int, data: bytes, name: str) -> bytes:
        """The record again.

        Raises:
            IntegrityError: it was changed, or is another one.
        """
        return _open(_cipher(key), _record_nonce(number, attempt), data, name)

    def _path(self, name: str) -> Path:
        assert name.replace("-", "").replace("_", "").replace(".", "").isalnum(), "names are ours"
        return self._folder.joinpath(name)


class SealedWriter:
    """Writes one file from its beginning to its end."""

    def __init__(self, path: Path, name: str, key: bytes, wrapped: bytes) -> None:
        self._path, self._name, self._wrapped = path, name, wrapped
        self._beside = path.with_name(f"{path.name}.part")
        self._cipher = _cipher(key)
        self._pending = bytearray()
        self._chunks = 0
        self.size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._file: BinaryIO = os.fdopen(os.open(self._beside, flags, FILE_MODE), "wb")

    def write(self, data: bytes) -> None:
        """The next bytes."""
        self.size += len(data)
        self._pending += data
        # The last chunk is marked as such, so one is always kept back.
        while len(self._pending) > CHUNK_BYTES:
            self._put(bytes(self._pending[:CHUNK_BYTES]), last=False)
            del self._pending[:CHUNK_BYTES]

    def finish(self) -> Sealed:
        """Make it durable under its name."""
        self._put(bytes(self._pending), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return Sealed(self.size, self._wrapped)

    def abandon(self) -> None:
        """Leave nothing behind."""
        try:
            self._file.close()
        except OSError as error:
            # What it still held did not fit on the disk; it goes anyway.
            log.info("%s is thrown away half written: %s", self._beside.name, error.strerror)
        self._beside.unlink(missing_ok=True)

    def _put(self, chunk: bytes, *, last: bool) -> None:
        nonce = _chunk_nonce(self._chunks, last=last)
        self._file.write(self._cipher.encrypt(nonce, chunk, self._name.encode()))
        self._chunks += 1


class SealedReader:
    """Reads one finished file from any offset."""

    def __init__(self, path: Path, name: str, cipher: Any, size: int) -> None:  # noqa: ANN401 - AESGCM
        self._name, self._cipher, self._size = name, cipher, size
        try:
            self._file: BinaryIO = path.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"the content of {name} is gone") from error
        self._last = max(0, (size - 1) // CHUNK_BYTES)
        self._held: tuple[int, bytes] = (-1, b"")

    def read(self, offset: int, length: int) -> bytes:
        """So many bytes from an offset, fewer at the end of the file.

        Raises:
            IntegrityError: the file was changed or cut off.
        """
        end = min(offset + length, self._size)
        if offset >= end:
            return b""
        first, last = offset // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        data = b"".join(self._chunk(number) for number in range(first, last + 1))
        begin = offset - first * CHUNK_BYTES
        return data[begin : begin + end - offset]

    def chunks(self) -> Iterator[bytes]:
        """The whole file, piece by piece."""
        for number in range(self._last + 1):
            yield self._chunk(number)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _chunk(self, number: int) -> bytes:
        if self._held[0] != number:
            self._file.seek(number * (CHUNK_BYTES + TAG_BYTES))
            data = self._file.read(CHUNK_BYTES + TAG_BYTES)
            nonce = _chunk_nonce(number, last=number == self._last)
            self._held = (number, _open(self._cipher, nonce, data, self._name))
        return self._held[1]


def _chunk_nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(NONCE_BYTES - _FLAG_BYTES, "big") + bytes([last])


def _record_nonce(number: int, attempt: int) -> bytes:
    half = NONCE_BYTES // 2
    return number.to_bytes(half, "big") + attempt.to_bytes(half, "big")


def _cipher(key: bytes) -> Any:  # noqa: ANN401 - the extra may be missing, and with it the type
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "files and batches need cryptography, which is not installed here",
            hint="pip install 'quartermaster-ai[files]'",
        ) from error
    return AESGCM(key)


def _open(cipher: Any, nonce: bytes, data: bytes, name: str) -> bytes:  # noqa: ANN401 - AESGCM
    from cryptography.exceptions import InvalidTag

    try:
        return bytes(cipher.decrypt(nonce, data, name.encode()))
    except InvalidTag as error:
        raise IntegrityError(
            f"the content of {name} was changed, or belongs to another key pepper",
            hint="restore the file and the pepper from the same backup",
        ) from error
