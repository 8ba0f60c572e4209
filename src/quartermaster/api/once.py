"""A request that is sent twice is done once: the same key, the same answer.

The key is taken in the book before the command runs and kept with its answer for a day. A refusal
wrote nothing, so it gives the key back. Where a process died between the two, the key is free again
after `UNDER_WAY_S`; what commands write is idempotent, but for new keys and tokens: there the
retry makes another one, and nobody has ever seen the secret of the first.
"""

from collections.abc import Callable
from hashlib import sha256

from quartermaster.api.sealing import seal, unseal
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import ConflictError, UsageError

HEADER = "Idempotency-Key"
KEY_CHARS_MAX = 128
"""A UUID has 36 characters; what is longer is no key but a document."""
UNDER_WAY_S = 60
"""No command takes a tenth of it, the wait for gateways included."""


def checked(key: str) -> str:
    """The key of a request.

    Raises:
        UsageError: not a key.
    """
    if not 0 < len(key) <= KEY_CHARS_MAX or not key.isascii() or not key.isprintable():
        raise UsageError(
            f"{HEADER} is not a key",
            field=HEADER,
            hint=f"1-{KEY_CHARS_MAX} printable ASCII characters, such as a UUID",
        )
    return key


def once(
    book: Book,
    *,
    token: str,
    secret: str,
    key: str,
    request: bytes,
    now: Instant,
    act: Callable[[], tuple[int, bytes]],
) -> tuple[int, bytes]:
    """Do what is asked, or give the answer that was given before.

    Args:
        book: where answers are kept.
        token: id of the caller's token.
        secret: the token itself; opens what was sealed with it.
        key: as the caller chose it.
        request: everything that makes the request what it is.
        now: microseconds UTC.
        act: runs the command; status and body of its answer.

    Raises:
        ConflictError: the key belongs to another request, or to one that is under way.
    """
    key_hash, digest = sha256(key.encode()).hexdigest(), sha256(request).hexdigest()
    with book.writing() as unit:
        known = unit.answers.find(token, key_hash, now=now)
        if known is not None and known.request_sha256 != digest:
            raise ConflictError(
                f"this {HEADER} was sent with another request",
                hint="choose a new key for a new request",
                field=HEADER,
            )
        under_way = known is not None and now - known.begun_at < UNDER_WAY_S * US_PER_S
        if known is not None and known.sealed is None and under_way:
            raise ConflictError(
                "the same request is under way", hint="try again in a moment", field=HEADER
            )
        if known is None or known.sealed is None:
            unit.answers.begin(token, key_hash, digest, now=now)
    if known is not None and known.sealed is not None:
        assert known.status is not None, "an answer is kept with its status"
        return known.status, unseal(known.sealed, secret)
    try:
        status, body = act()
    except BaseException:
        with book.writing() as unit:
            unit.answers.forget(token, key_hash)
        raise
    with book.writing() as unit:
        unit.answers.keep(token, key_hash, status=status, sealed=seal(body, secret))
    return status, body
