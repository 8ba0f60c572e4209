"""The content tap: slices of sampled requests of consenting customers, into this worker's ring.

Who is tapped is decided once a key, from the snapshot: no consent in the contract, no ring. Which
of the requests are read is a uniform sample of each account's day: every request has a priority in
0 to 1, and those with the smallest `SAMPLE` of a day are the sample. Only requests whose priority
could be among them are drawn, and how many come before the next one is drawn beforehand (as in
algorithm L by Li, 1994), so that a request that is not read costs one countdown. Priorities come
from a key that this process draws at its start and never shows: nobody foresees them, a flood of
other traffic dilutes and hides nothing, and samples of several workers put together, smallest
priorities first, are a sample of the whole.
"""

import heapq
import math
import os
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

from quartermaster.gateway.requests import Request
from quartermaster.gateway.whence import NOWHERE, Asking, Whence
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.ring import SUFFIX, UNIT, RingWriter, create, folder_of, wipe_left
from quartermaster.kernel.snapshot import KeyGrant
from quartermaster.kernel.tapped import (
    ANSWER_BYTES,
    REQUEST_HEAD_BYTES,
    REQUEST_TAIL_BYTES,
    SAMPLE,
    Content,
    Tally,
    day_of,
    encode,
    named_day,
)

# A minute is a long time for a watcher that looks four times a second; a dead one is started again
# within seconds. Text that nobody came for by then is deleted.
TEXT_S_MAX: Final = 60.0
# How often it is said how many there were: a day's last figure is at most this late.
TALLY_S: Final = 5.0
# Reading takes some 200 us of the watcher: a burst of a whole second's allowance is no longer one.
BURST_S: Final = 1.0
# A watcher looks every fifth of a second: it has come twice by then.
LAST_READ_S: Final = 0.5
# Small beside it.
LAST_POLL_S: Final = 0.02
# 256 bits: nobody guesses the key of the draws.
_KEY_BYTES: Final = 32
# As many random bits as a float has places for, and some.
_DRAW_BYTES: Final = 8
_SCALE: Final = 2.0**-64
# The logarithm of nothing is not a number; nobody sees a difference of 1e-12.
_BOUND_MAX: Final = 1 - 1e-12
# Tallies are nobody's text.
_TELLER: Final = 0
_WHOLE: Final = REQUEST_HEAD_BYTES + REQUEST_TAIL_BYTES


class Account:
    """One account's day on this worker: its countdown and its smallest priorities.

    Args:
        customer: whose.
        number: of the account in this worker's ring.
    """

    __slots__ = ("capped", "customer", "drawn", "kept", "left", "number", "passed", "told")

    def __init__(self, customer: str, number: int) -> None:
        self.customer = customer
        self.number = number
        self.left = 0
        """Requests to pass before the next one is drawn."""
        self.passed = 0
        """Requests up to and including the last one that was drawn, and those to pass after it."""
        self.drawn = 0
        self.capped = 0
        self.kept: list[float] = []
        """A heap of the smallest priorities, each with its sign changed."""
        self.told = -1

    @property
    def seen(self) -> int:
        """Requests of the day so far."""
        return self.passed - self.left


class Served(Protocol):
    """What the tap wants to know of an exchange at its end."""

    request_id: str
    grant: KeyGrant
    call: ChatCall
    final: bytes

    @property
    def endpoint(self) -> Endpoint:
        """What the customer asked for."""


class Taken:
    """A request that is being read, until its exchange ends."""

    __slots__ = ("_account", "_answer", "_opened_at", "_priority", "_request", "_tap", "_whence")

    def __init__(
        self,
        tap: "Tap",
        account: Account,
        priority: float,
        request: bytes,
        opened_at: int,
        whence: tuple[str, str],
    ) -> None:
        self._tap = tap
        self._account = account
        self._priority = priority
        self._request = request
        self._opened_at = opened_at
        self._whence = whence
        self._answer = b""

    def hear(self, data: bytes) -> None:
        """A piece of a streamed answer."""
        if len(self._answer) < ANSWER_BYTES:
            self._answer += data[: ANSWER_BYTES - len(self._answer)]

    def end(self, served: Served, http_status: int) -> None:
        """The exchange has ended: its slices go into the ring."""
        body = self._request
        whole = len(body) <= _WHOLE
        content = Content(
            served.request_id,
            self._opened_at,
            served.grant.customer,
            served.grant.key_id,
            served.call.model,
            served.endpoint,
            self._priority,
            body if whole else body[:REQUEST_HEAD_BYTES],
            b"" if whole else body[-REQUEST_TAIL_BYTES:],
            len(body),
            # A plain answer is there as it goes out, behind its head.
            self._answer or served.final[:ANSWER_BYTES],
            http_status,
            *self._whence,
        )
        self._tap.write(self._account, content)


class Tap:
    """The tap of one worker.

    Args:
        ring: where slices go.
        reads_per_s: how many requests a second may be read, over all accounts.
        key: of the draws; from the operating system when None.
        whence: hashes network and program of whoever asks; without it neither is said.
    """

    def __init__(
        self,
        ring: RingWriter,
        *,
        reads_per_s: int,
        key: bytes | None = None,
        whence: Whence | None = None,
    ) -> None:
        self.ring = ring
        self._whence = whence
        self._accounts: dict[str, Account] = {}
        self._numbers: dict[str, int] = {"": _TELLER}
        self._key = key or os.urandom(_KEY_BYTES)
        self._draws = 0
        self._reads_per_s = reads_per_s
        self._allowed = float(reads_per_s) * BURST_S
        self._day = -1
        self._ticked_s = self._told_s = -math.inf
        self._closed = False

    def take(
        self,
        grant: KeyGrant,
        body: bytes,
        now: int,
        client: Asking | None = None,
        request: Request | None = None,
    ) -> Taken | None:
        """Count a request of a consenting customer, and draw it or not.

        Args:
            grant: whose key.
            body: the whole request.
            now: microseconds UTC.
            client: its connection.
            request: its head.
        """
        account = self._accounts.get(grant.customer)
        if account is None:
            account = self._new(grant.customer)
        if account.left > 0:
            account.left -= 1
            return None
        priority = self._drawn(account)
        if self._allowed < 1:
            account.capped += 1
            return None
        self._allowed -= 1
        whence = NOWHERE
        if self._whence is not None and client is not None and request is not None:
            whence = self._whence.of(client, request)
        return Taken(self, account, priority, body, now, whence)

    def tick(self, now: Instant, monotonic_s: float) -> None:
        """Once a second: allow more reading, delete what was read, tell how many there were."""
        since = min(BURST_S, monotonic_s - self._ticked_s)
        self._ticked_s = monotonic_s
        most = self._reads_per_s * BURST_S
        self._allowed = min(most, self._allowed + since * self._reads_per_s)
        day = day_of(now)
        if day != self._day:
            if self._day >= 0:
                self.tell(everybody=True)
            self._day = day
            self._accounts.clear()
            self.ring.lost.clear()
        if monotonic_s - self._told_s >= TALLY_S:
            self._told_s = monotonic_s
            self.tell()
        self.ring.wipe(monotonic_s, TEXT_S_MAX)

    def tell(self, *, everybody: bool = False) -> None:
        """Write how many requests there were, of accounts for which that has changed."""
        day = named_day(self._day)
        for account in list(self._accounts.values()):
            overwritten = self.ring.lost[account.number]
            said = account.seen + overwritten
            if said == account.told and not everybody:
                continue
            account.told = said
            tally = Tally(
                account.customer, day, account.seen, account.drawn, account.capped, overwritten
            )
            self.ring.write(_TELLER, encode(tally))

    def write(self, account: Account, content: Content) -> None:
        """Write slices, unless the last consent has ended meanwhile."""
        if not self._closed:
            self.ring.write(account.number, encode(content))

    def close(self) -> None:
        """Wipe the ring and take it away."""
        self._closed = True
        self.ring.close()

    async def drain(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Say the last figures, give the watcher a moment to read, and close."""
        self.tell()
        waits = LAST_READ_S / LAST_POLL_S if self.ring.looks else 0
        while self.ring.unread and waits > 0:
            waits -= 1
            await sleep(LAST_POLL_S)
        self.close()

    def _new(self, customer: str) -> Account:
        number = self._numbers.setdefault(customer, len(self._numbers))
        account = self._accounts[customer] = Account(customer, number)
        return account

    def _drawn(self, account: Account) -> float:
        """The priority of the request that is drawn, and how many pass until the next one is."""
        account.drawn += 1
        kept = account.kept
        if len(kept) < SAMPLE:
            priority = self._uniform()
            heapq.heappush(kept, -priority)
        else:
            priority = self._uniform() * -kept[0]
            heapq.heapreplace(kept, -priority)
        if len(kept) == SAMPLE:
            bound = min(-kept[0], _BOUND_MAX)
            account.left = int(math.log(self._uniform()) / math.log1p(-bound))
        account.passed += 1 + account.left
        return priority

    def _uniform(self) -> float:
        """A number in (0, 1] that nobody foresees."""
        self._draws += 1
        data = self._draws.to_bytes(8, "little")
        digest = blake2b(data, key=self._key, digest_size=_DRAW_BYTES).digest()
        return (int.from_bytes(digest, "little") + 1) * _SCALE


def forget_text(var: Path, app_id: str) -> None:
    """Wipe what a worker of this name left when it was killed, whether or not anybody consents now.

    Args:
        var: the data folder that the ring belonged to.
        app_id: the worker's.
    """
    wipe_left(folder_of(var) / f"{app_id}{SUFFIX}")


def open_tap(
    var: Path, app_id: str, *, ring_bytes: int, reads_per_s: int, whence: Whence | None = None
) -> Tap:
    """The tap of a worker, with a ring of its own.

    Args:
        var: the data folder that the ring belongs to.
        app_id: the worker's.
        ring_bytes: of text that waits for the watcher, at most.
        reads_per_s: how many requests a second may be read.
        whence: hashes network and program of whoever asks.

    Raises:
        UnavailableError: there is no shared memory here, or not enough of it.
        ConfigError: the folder of the rings belongs to somebody else.
    """
    ring = create(folder_of(var), app_id, ring_bytes // UNIT * UNIT)
    return Tap(ring, reads_per_s=reads_per_s, whence=whence)
