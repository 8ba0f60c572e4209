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
from hashlib import blake2b
from typing import Final

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.ring import RingWriter
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
# Reading takes some 150 us of the watcher: a burst of a whole second's allowance is no longer one.
BURST_S: Final = 1.0
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


class Taken:
    """A request that is being read, until its exchange ends."""

    __slots__ = ("account", "answer", "priority", "request")

    def __init__(self, account: Account, priority: float, request: bytes) -> None:
        self.account = account
        self.priority = priority
        self.request = request
        self.answer = b""

    def hear(self, data: bytes) -> None:
        """A piece of a streamed answer."""
        if len(self.answer) < ANSWER_BYTES:
            self.answer += data[: ANSWER_BYTES - len(self.answer)]


class Tap:
    """The tap of one worker.

    Args:
        ring: where slices go.
        reads_per_s: how many requests a second may be read, over all accounts.
        key: of the draws; from the operating system when None.
    """

    def __init__(self, ring: RingWriter, *, reads_per_s: int, key: bytes | None = None) -> None:
        self.ring = ring
        self._accounts: dict[str, Account] = {}
        self._numbers: dict[str, int] = {"": _TELLER}
        self._key = key or os.urandom(_KEY_BYTES)
        self._draws = 0
        self._reads_per_s = reads_per_s
        self._allowed = float(reads_per_s) * BURST_S
        self._day = -1
        self._ticked_s = self._told_s = -math.inf

    def take(self, grant: KeyGrant, body: bytes) -> Taken | None:
        """Count a request of a consenting customer, and draw it or not.

        Args:
            grant: whose key.
            body: the whole request.
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
        return Taken(account, priority, body)

    def end(
        self,
        taken: Taken,
        *,
        request_id: str,
        grant: KeyGrant,
        model: str,
        endpoint: Endpoint,
        opened_at: int,
        http_status: int,
    ) -> None:
        """The exchange of a drawn request has ended: its slices go into the ring."""
        body = taken.request
        whole = len(body) <= _WHOLE
        content = Content(
            request_id,
            opened_at,
            grant.customer,
            grant.key_id,
            model,
            endpoint,
            taken.priority,
            body if whole else body[:REQUEST_HEAD_BYTES],
            b"" if whole else body[-REQUEST_TAIL_BYTES:],
            len(body),
            taken.answer[:ANSWER_BYTES],
            http_status,
        )
        self.ring.write(taken.account.number, encode(content))

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

    def close(self) -> None:
        """Wipe the ring and take it away."""
        self.ring.close()

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
