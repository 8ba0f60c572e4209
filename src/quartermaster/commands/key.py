"""Customer keys: the secret is shown once and never stored."""

import msgspec

from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id, require_name
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.events import KeyIssued, KeyRevoked
from quartermaster.kernel.ids import key_hash, new_id, new_key_secret

ANY_MODEL = "*"


class IssuedKey(msgspec.Struct, frozen=True):
    """A new key; `secret` is nowhere else."""

    key_id: str
    secret: str


def issue(
    book: Book,
    actor: Actor,
    *,
    contract: str,
    pepper: bytes,
    now: Instant,
    project: str = "default",
    models: tuple[str, ...] = (ANY_MODEL,),
    expires_at: int | None = None,
) -> IssuedKey:
    """Make a key for a contract; it works with the next snapshot.

    Args:
        book: where it is recorded.
        actor: who issues it.
        contract: whose customer it belongs to.
        pepper: from `book.pepper.load_pepper`; the same one for every key.
        now: microseconds UTC.
        project: the customer's own name for what the key is used for.
        models: which models it may call; `*` is all of them.
        expires_at: microseconds UTC, or None.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such contract.
        UsageError: the key would never work.
    """
    require(actor, "admin")
    require_id(project, "project")
    if not models or not all(models):
        raise UsageError("a key needs at least one model", field="models", hint="or * for all")
    if expires_at is not None and expires_at <= now:
        raise UsageError("the key would be expired already", field="expires_at")
    secret = new_key_secret()
    with book.writing() as unit:
        versions = unit.view().contracts.get(contract)
        if versions is None:
            raise NotFoundError(f"there is no contract {contract!r}", field="contract")
        fact = KeyIssued(
            key_id=new_id("key"),
            key_hash=key_hash(secret.encode(), pepper).hex(),
            customer=versions[-1].customer,
            contract=contract,
            project=project,
            models=models,
            expires_at=expires_at,
        )
        unit.journal.append(fact, actor=actor, now=now, key=f"key:{fact.key_id}")
    return IssuedKey(fact.key_id, secret)


def revoke(book: Book, actor: Actor, key_id: str, reason: str, now: Instant) -> None:
    """Stop a key with the next snapshot, for good.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such key.
        ConflictError: it is revoked already.
    """
    require(actor, "admin", "trust")
    reason = require_name(reason, "reason")
    with book.writing() as unit:
        key = unit.view().keys.get(key_id)
        if key is None:
            raise NotFoundError(f"there is no key {key_id!r}", field="key_id")
        if key.revoked_at is not None:
            raise ConflictError(f"key {key_id} is revoked already")
        unit.journal.append(
            KeyRevoked(key_id=key_id, reason=reason),
            actor=actor,
            now=now,
            key=f"revoke:{key_id}",
        )
