"""Whose key is this? For faces that customers reach with their own keys, beside the gateway.

A gateway answers that from its snapshot; here the book answers, so a revocation holds at once. The
gateway hands the key on as it came, so nothing that it relays can be forged by somebody who reaches
the API without it, and what a key is held to holds on both ways.
"""

import threading

import msgspec

from quartermaster.book.files import Tenant
from quartermaster.book.views import Key, View
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.ids import key_hash
from quartermaster.kernel.relayed_key import proven

KEY_CHARS_MAX = 256
"""Keys have 46 characters; longer text is nobody's key and is not hashed."""
BARRED = ("suspended", "terminated")
UNAUTHORISED, FORBIDDEN = 401, 403


class KeyHolder(msgspec.Struct, frozen=True):
    """Whoever sent a live key."""

    key_id: str
    customer: str
    project: str

    @property
    def tenant(self) -> Tenant:
        """Whose files and batches it sees."""
        return Tenant(self.customer, self.project)


class KeyRing:
    """Recognises keys; remembers their hashes until the journal says something new.

    Args:
        book: where keys are recorded.
        pepper: of this installation.
    """

    def __init__(self, book: Book, pepper: bytes) -> None:
        self._book, self._pepper = book, pepper
        self._lock = threading.Lock()
        self._seq = -1
        self._by_hash: dict[str, Key] = {}

    def recognise(self, secret: str, now: Instant, *, scope: str, proof: str) -> KeyHolder:
        """Who sent this key.

        Args:
            secret: the key.
            now: microseconds UTC.
            scope: what it is used for, of `RELAYED_SCOPES`.
            proof: of the gateway that let it through, or empty.

        Raises:
            RefusedError: 401 where it is unknown, revoked or expired, or its contract is not in
                force; 403 where its group is suspended, or it may not be used for this or from
                there.
        """
        view = self._book.view()
        key = None if len(secret) > KEY_CHARS_MAX else self._find(view, secret)
        contract = None if key is None else view.contract_at(key.issued.contract, now)
        over = key is None or view.archived(key.issued.customer, key.issued.project)
        if key is None or contract is None or over or not key.live(now):
            raise RefusedError(
                "Incorrect API key provided.", code="invalid_api_key", http_status=UNAUTHORISED
            )
        issued = key.issued
        standing = view.standing.get(view.customers[issued.customer].group, "active")
        if standing in BARRED:
            raise RefusedError(
                f"This account is {standing}.",
                code="account_suspended",
                http_status=FORBIDDEN,
                hint="Contact your account manager.",
            )
        if issued.endpoints and scope not in issued.endpoints:
            raise RefusedError(
                f"This key may not be used for {scope}.",
                code="endpoint_not_allowed",
                http_status=FORBIDDEN,
            )
        if issued.networks and not proven(proof, issued.key_id, self._pepper, now):
            raise RefusedError(
                "This key may not be used from here.",
                code="address_not_allowed",
                http_status=FORBIDDEN,
                hint="It is held to networks: send it to the gateway.",
            )
        return KeyHolder(issued.key_id, issued.customer, issued.project)

    def _find(self, view: View, secret: str) -> Key | None:
        with self._lock:
            if self._seq != view.seq:
                self._by_hash = {key.issued.key_hash: key for key in view.keys.values()}
                self._seq = view.seq
            return self._by_hash.get(key_hash(secret.encode(), self._pepper).hex())
