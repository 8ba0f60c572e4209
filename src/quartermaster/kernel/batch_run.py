"""What lets the batch runner ask a gateway in a customer's name: one signed line of one batch.

Customers' keys are stored nowhere, so the runner cannot send one. It sends the key's id with the
line's own request id instead, signed with the installation's pepper, which nobody outside holds.
The request id and the attempt come from the book: a line that has to be sent again is metered under
the same id, and only its last attempt is billed.
"""

import base64
import binascii
import hmac
from hashlib import blake2b

import msgspec

PREFIX = "qmb-"
"""Tells such a credential from a customer's key, which begins with `ids.KEY_PREFIX`."""
SIGNATURE_BYTES = 32
"""256 bits, as of a customer's key."""
# Ids and numbers take some 90 bytes; longer text is nobody's and is not decoded.
CHARS_MAX = 512
_PURPOSE = b"batch run"
_SEPARATOR = "."

ATTEMPT_STEP = 100
"""From one sending of a line to the next: in between the gateway numbers its own attempts, should
it try several deployments for one sending."""

PATH_PREFIX = "/batch/v1/"
"""Where a gateway takes signed lines; behind it stands what stands behind `/v1/`."""


class BatchRun(msgspec.Struct, frozen=True, array_like=True):
    """One attempt of one line."""

    key_id: str
    request_id: str
    attempt: int
    expires_at: int
    """Microseconds UTC."""


def sign(run: BatchRun, pepper: bytes) -> str:
    """The credential of this attempt."""
    payload = base64.urlsafe_b64encode(msgspec.msgpack.encode(run)).decode()
    return f"{PREFIX}{payload}{_SEPARATOR}{_signature(payload, pepper)}"


def read(credential: str, pepper: bytes, now: int) -> BatchRun | None:
    """The attempt that a credential is for; None where it is forged, foreign or expired.

    Args:
        credential: what stands behind `Bearer `.
        pepper: of this installation.
        now: microseconds UTC.
    """
    if not credential.startswith(PREFIX) or len(credential) > CHARS_MAX:
        return None
    payload, _, signature = credential.removeprefix(PREFIX).partition(_SEPARATOR)
    expected = _signature(payload, pepper)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return None
    try:
        run = msgspec.msgpack.decode(base64.urlsafe_b64decode(payload), type=BatchRun)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError):
        return None  # signed by another version of the program
    return run if now < run.expires_at else None


def _signature(payload: str, pepper: bytes) -> str:
    mac = blake2b(payload.encode(), key=pepper, digest_size=SIGNATURE_BYTES, person=_PURPOSE)
    return mac.hexdigest()
