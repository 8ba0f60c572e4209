"""Frames: how one write-ahead record looks on disk, and how a damaged file is read.

A frame is `length u32 · crc32 u32 · kind u8 · payload`, little-endian; the payload is msgpack and
the checksum covers kind and payload. Records of one kind that are written together share a frame:
a busy worker writes dozens a turn. Files only grow, so what a crash leaves is a whole prefix and a
torn tail:

- A file that was never sealed may end anywhere. Its tail after the first unreadable frame is cut.
- A power loss may also keep a later page and lose an earlier one. Whether the hole matters is
  known from the `delivered` frames: each carries the length that had been synced before it was
  written. A hole below that length is damage to durable data, and fatal.
- A sealed file was synced as a whole before it got its name, so any damage to it is fatal.
"""

import struct
import zlib
from typing import Any, NamedTuple

import msgspec

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import Closed, Opened, Progress

HEADER = struct.Struct("<IIB")

# Letters, so that a hex dump of a segment can be read; zero is no kind, so a hole is no frame.
OPEN, PROGRESS, CLOSE, DELIVERED, SEAL = b"OPCDS"
KINDS = frozenset((OPEN, PROGRESS, CLOSE, DELIVERED, SEAL))

# The largest honest payloads are a list of 100 000 delivered handles of 5 bytes and a full frame of
# closes. A length above this is damage, and must not make a reader allocate gigabytes.
PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
# A close is at most about 6 KB, nearly all of it the upstream's own words, so 500 stay below that.
RECORDS_MAX = 500

_KIND_CRC = {kind: zlib.crc32(bytes((kind,))) for kind in KINDS}
_encode = msgspec.msgpack.Encoder().encode
_crc32 = zlib.crc32
_pack = HEADER.pack


class Seal(msgspec.Struct, frozen=True, array_like=True):
    """The last frame of a sealed segment; `sha256` chains each segment to the one before it."""

    app_id: str
    segment: int
    rows: int
    previous_sha256: str
    sha256: str
    """Hex of SHA-256 over `previous_sha256` and every byte before this frame."""
    sealed_at: int


class Frame(NamedTuple):
    """One record as it stands in the file; `end` is the offset behind it."""

    kind: int
    payload: bytes
    start: int
    end: int


class Scan(NamedTuple):
    """The whole frames at the head of some bytes, and where they end."""

    frames: list[Frame]
    end: int


def frame(kind: int, message: Any) -> bytes:  # noqa: ANN401 - whatever msgpack can hold
    """The bytes of one frame."""
    payload = _encode(message)
    assert len(payload) <= PAYLOAD_BYTES_MAX
    return _pack(len(payload), _crc32(payload, _KIND_CRC[kind]), kind) + payload


def record_frames(kind: int, records: list[Any]) -> list[bytes]:
    """The frames of records of one kind, pairs of a handle and what is recorded."""
    return [
        frame(kind, records[at : at + RECORDS_MAX]) for at in range(0, len(records), RECORDS_MAX)
    ]


_decode_open = msgspec.msgpack.Decoder(list[tuple[int, Opened]]).decode
_decode_progress = msgspec.msgpack.Decoder(list[tuple[int, Progress]]).decode
_decode_close = msgspec.msgpack.Decoder(list[tuple[int, Closed]]).decode
_decode_delivered = msgspec.msgpack.Decoder(tuple[int, list[int]]).decode
_decode_seal = msgspec.msgpack.Decoder(Seal).decode


def decode_open(frame: Frame) -> list[tuple[int, Opened]]:
    """Handles and records of an `open` frame."""
    return _decode_open(frame.payload)


def decode_progress(frame: Frame) -> list[tuple[int, Progress]]:
    """Handles and records of a `progress` frame."""
    return _decode_progress(frame.payload)


def decode_close(frame: Frame) -> list[tuple[int, Closed]]:
    """Handles and records of a `close` frame."""
    return _decode_close(frame.payload)


def decode_delivered(frame: Frame) -> tuple[int, list[int]]:
    """Length synced before a `delivered` frame was written, and the handles it confirms."""
    return _decode_delivered(frame.payload)


def decode_seal(frame: Frame) -> Seal:
    """The record of a `seal` frame."""
    return _decode_seal(frame.payload)


def _frame_at(data: bytes, start: int) -> Frame | None:
    """The whole and undamaged frame that starts here, if there is one."""
    body = start + HEADER.size
    if body > len(data):
        return None
    length, crc, kind = HEADER.unpack_from(data, start)
    if kind not in KINDS or length > PAYLOAD_BYTES_MAX or body + length > len(data):
        return None
    payload = data[body : body + length]
    if _crc32(payload, _KIND_CRC[kind]) != crc:
        return None
    return Frame(kind, payload, start, body + length)


def scan(data: bytes) -> Scan:
    """Frames from the start until the first that is torn, damaged, or not there."""
    frames: list[Frame] = []
    at = 0
    while (found := _frame_at(data, at)) is not None:
        frames.append(found)
        at = found.end
    return Scan(frames, at)


def read_unsealed(data: bytes, name: str) -> list[Frame]:
    """What can be relied on of a file that was being written when its writer died.

    Args:
        data: the file's bytes.
        name: the file's name, for the error.

    Raises:
        IntegrityError: bytes that had been synced are damaged.
    """
    frames, end = scan(data)
    synced = _synced_length(data, end)
    if end < synced:
        raise IntegrityError(
            f"{name} is damaged at offset {end}: {synced} bytes of it had been synced",
            hint="restore the file from a copy; the disk lost data that it had confirmed",
        )
    return frames


def _synced_length(data: bytes, start: int) -> int:
    """The longest synced length that a whole `delivered` frame behind `start` speaks of.

    Such frames can only follow a hole, so they are looked for by their kind byte.
    """
    synced = 0
    mark = bytes((DELIVERED,))
    at = data.find(mark, start)
    while at >= 0:
        found = _frame_at(data, max(at - HEADER.size + 1, 0))
        if found is not None and found.kind == DELIVERED:
            synced = max(synced, decode_delivered(found)[0])
        at = data.find(mark, at + 1)
    return synced


def read_sealed(data: bytes, name: str) -> tuple[list[Frame], Seal]:
    """Every frame before the seal, and the seal.

    Args:
        data: the file's bytes.
        name: the file's name, for the error.

    Raises:
        IntegrityError: any byte is not as it was when the segment was sealed.
    """
    frames, end = scan(data)
    if end != len(data) or not frames or frames[-1].kind != SEAL:
        raise IntegrityError(
            f"{name} is damaged at offset {end}: a sealed segment ends with its seal",
            hint="restore the file from a copy",
        )
    return frames[:-1], decode_seal(frames[-1])
