"""Limits while a worker and its successor both serve: what one lets pass, the other does not.

Limits are kept in each process, so a successor that began with full ones would let a customer have
everything twice. It asks its predecessor before it listens; from then on each has half, and half of
what was taken. When the predecessor takes nothing new any more, the successor has the whole, with
all that was taken; what is still open over there counts here until it ends. Whoever notices that
the other is gone has everything again.

Limits that machines share through a store need none of this; provisioned units do.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from quartermaster.gateway.dispatch import Dispatcher
from quartermaster.gateway.index import Index
from quartermaster.gateway.limits import Account, Bucket, Limiter, Scoped
from quartermaster.gateway.limits_leased import LeasedLimiter
from quartermaster.gateway.ptu import LaneName, Lanes
from quartermaster.gateway.status import SECOND_LOG, read_status
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.limit import Shares
from quartermaster.kernel.snapshot import Provisioned

# How long a successor waits for its predecessor's word, which looks five times a second.
ANSWER_S: Final = 1.0
ANSWER_POLL_S: Final = 0.02
# Files are renewed five times a second; one that is older is of a process that is gone, or hangs.
STALE_S: Final = 3

Name = tuple[str, str]
"""Scope and name of whom limits are of."""


class AccountHeld(msgspec.Struct, frozen=True, array_like=True):
    """What the predecessor knows of one account; levels are a bucket's own."""

    scope: str
    name: str
    requests: "BucketHeld | None"
    tokens: "BucketHeld | None"
    concurrent: int | None
    """How many requests it may have open, or has, where it takes no new ones."""


class BucketHeld(msgspec.Struct, frozen=True, array_like=True):
    """What the predecessor knows of one bucket."""

    given: int
    """What of its level is the successor's since the split."""
    level: int
    total: int
    """Everything that was ever taken: it grows where an estimate fell short."""


class LaneHeld(msgspec.Struct, frozen=True, array_like=True):
    """What the predecessor knows of one contract's units."""

    contract: str
    model: str
    bucket: BucketHeld


class Asked(msgspec.Struct, frozen=True):
    """The successor's question; it is renewed while the predecessor lives."""

    by: str
    at: int


class Handed(msgspec.Struct, frozen=True):
    """The predecessor's word; each replaces the one before."""

    to: str
    """The successor that asked."""
    at: int
    closed: bool
    """Whether the predecessor takes nothing new any more."""
    accounts: tuple[AccountHeld, ...]
    lanes: tuple[LaneHeld, ...]


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Handed).decode
_decode_asked: Final = msgspec.json.Decoder(Asked).decode


class Predecessor:
    """The part of a worker that has a successor.

    Args:
        successor: how that one calls itself.
        limiter: of this worker; None where a store keeps limits.
        lanes: of this worker.
        now: microseconds.
    """

    def __init__(self, successor: str, limiter: Limiter | None, lanes: Lanes, now: int) -> None:
        self.successor = successor
        self._limiter, self._lanes = limiter, lanes
        self.closed = False
        """Whether it takes nothing new any more."""
        self._given: dict[Bucket, int] = {}
        self._concurrent: dict[Name, int] = {}
        for name, account in _accounts(limiter).items():
            concurrent = account.shares.concurrent
            if concurrent is not None:
                self._concurrent[name] = max(account.open, _larger(concurrent))
            for bucket in (account.requests, account.tokens):
                self._give(bucket, now)
        for lane in lanes.lanes.values():
            self._give(lane.bucket, now)
        self._apply(now)

    def _give(self, bucket: Bucket | None, now: int) -> None:
        if bucket is not None:
            bucket.refill(now)
            self._given[bucket] = bucket.give_half()

    def _apply(self, now: int) -> None:
        if self._limiter is not None:
            self._limiter.part_with(self, now)
        self._lanes.part_with(self, now)

    def part(self, name: Name, whole: Shares) -> Shares:
        """What is left of a worker's shares."""
        concurrent = self._concurrent.get(name, self.units(whole.concurrent))
        requests, tokens = whole.requests_per_minute, whole.tokens_per_minute
        return Shares(self.units(requests), self.units(tokens), concurrent)

    def units(self, whole: int | None) -> int | None:
        """What is left of one share."""
        return None if whole is None else _larger(whole)

    def close(self, now: int) -> None:
        """Nothing new is taken any more."""
        self.closed = True
        self._apply(now)

    def word(self, now: int) -> Handed:
        """What the successor must know."""
        lanes = (
            LaneHeld(contract, model, self._held(lane.bucket))
            for (contract, model), lane in self._lanes.lanes.items()
        )
        accounts = (self._account(*one) for one in _accounts(self._limiter).items())
        known = tuple(one for one in accounts if one is not None)
        return Handed(self.successor, now, self.closed, known, tuple(lanes))

    def _account(self, name: Name, account: Account) -> AccountHeld | None:
        requests, tokens = (
            None if bucket is None else self._held(bucket)
            for bucket in (account.requests, account.tokens)
        )
        concurrent = account.open if self.closed else self._concurrent.get(name)
        busy = any(one is not None and (one.level or one.given) for one in (requests, tokens))
        return AccountHeld(*name, requests, tokens, concurrent) if busy or concurrent else None

    def _held(self, bucket: Bucket) -> BucketHeld:
        return BucketHeld(self._given.get(bucket, 0), bucket.used, bucket.total)


class Successor:
    """The part of a worker whose predecessor still serves, or ends what it had begun.

    Args:
        limiter: of this worker; None where a store keeps limits.
        lanes: of this worker.
    """

    closed = False
    """It takes what comes."""

    def __init__(self, limiter: Limiter | None, lanes: Lanes) -> None:
        self._limiter, self._lanes = limiter, lanes
        self._has_all = False
        self._concurrent: dict[Name, int] = {}
        self._given: set[Bucket] = set()
        self._totals: dict[Bucket, int] = {}

    def part(self, name: Name, whole: Shares) -> Shares:
        """What of a worker's shares the predecessor has not."""
        concurrent = whole.concurrent
        if concurrent is not None:
            unknown = 0 if self._has_all else _larger(concurrent)
            concurrent = max(concurrent - self._concurrent.get(name, unknown), 0)
        requests, tokens = whole.requests_per_minute, whole.tokens_per_minute
        return Shares(self.units(requests), self.units(tokens), concurrent)

    def units(self, whole: int | None) -> int | None:
        """What of one share the predecessor has not."""
        return whole if whole is None or self._has_all else whole // 2

    def hear(
        self,
        word: Handed | None,
        limited: Mapping[Name, Scoped],
        terms: Mapping[LaneName, Provisioned],
        now: int,
    ) -> None:
        """Know what the predecessor knows; None where it does not say.

        Args:
            word: its newest.
            limited: whose limits there are.
            terms: which units there are.
            now: microseconds.
        """
        if word is not None:
            self._has_all = word.closed
            self._concurrent = {
                (one.scope, one.name): one.concurrent
                for one in word.accounts
                if one.concurrent is not None
            }
        if self._limiter is not None:
            self._limiter.part_with(self, now)
        self._lanes.part_with(self, now)
        for held in word.accounts if word is not None and self._limiter is not None else ():
            of = limited.get((held.scope, held.name))
            if of is not None and self._limiter is not None:
                account = self._limiter.account(of, now)
                self._take(account.requests, held.requests)
                self._take(account.tokens, held.tokens)
        for one in word.lanes if word is not None else ():
            units = terms.get((one.contract, one.model))
            if units is not None:
                self._take(self._lanes.lane(one.contract, units, now).bucket, one.bucket)

    def _take(self, bucket: Bucket | None, held: BucketHeld | None) -> None:
        """What was taken there and is not known here yet."""
        if bucket is None or held is None:
            return
        if bucket not in self._given:
            self._given.add(bucket)
            bucket.add(held.given)
        if self._has_all:
            before = self._totals.get(bucket)
            bucket.add(held.level if before is None else max(held.total - before, 0))
            self._totals[bucket] = held.total


class Handover:
    """One worker's files, and whom it shares its limits with at the moment; mostly with nobody.

    Args:
        status: the worker's status file; its own files lie beside it, and so does that of the
            worker before it.
        dispatcher: of the worker, with its limits.
    """

    def __init__(self, status: Path, dispatcher: Dispatcher) -> None:
        place = status.stem.removesuffix(SECOND_LOG)
        turn = SECOND_LOG if status.stem == place else ""
        self._before = status.with_name(f"{place}{turn}.json")
        self._asked, self._word = (status.with_name(f"{place}.{end}") for end in ("next", "handed"))
        self._clock = dispatcher.relay.clock
        self._failed = dispatcher.relay.tallies.failed
        self._name = f"{status.stem}:{os.getpid()}:{self._clock()}"
        self._lanes = dispatcher.lanes
        self._limiter: Limiter | None = dispatcher.limiter
        if isinstance(dispatcher.limiter, LeasedLimiter):
            # All machines share them already.
            self._limiter, self._lanes = None, Lanes(1, 0)
        self._successor: Successor | None = None
        self._predecessor: Predecessor | None = None
        self._closed = self._heard = False

    async def ask(self, index: Index | None) -> None:
        """Ask a predecessor, if one serves, and wait a moment for its word.

        Args:
            index: the snapshot in force, if any.
        """
        if not self._is_served:
            return
        self._successor = Successor(self._limiter, self._lanes)
        for _ in range(round(ANSWER_S / ANSWER_POLL_S)):
            self.look(index)
            if self._heard:
                return
            await asyncio.sleep(ANSWER_POLL_S)

    def look(self, index: Index | None) -> None:
        """Five times a second: hear what the other one says, and say what it must know.

        Args:
            index: the snapshot in force, if any.
        """
        if self._successor is not None:
            self._hear(self._successor, index)
        elif self._predecessor is not None or self._asked.exists():
            self._say()

    def _hear(self, successor: Successor, index: Index | None) -> None:
        word = self._newest()
        self._heard = self._heard or word is not None
        over = word is None if self._heard else not self._is_served
        if over:
            self._alone()
            self._successor = None
            self._asked.unlink(missing_ok=True)
            self._word.unlink(missing_ok=True)
            return
        self._write(self._asked, Asked(self._name, self._clock()))
        limited: dict[Name, Scoped] = {}
        terms: dict[LaneName, Provisioned] = {}
        if index is not None:
            limited = {(of.scope, of.name): of for of in index.every_limit()}
            terms = index.every_lane()
        successor.hear(word, limited, terms, self._clock())

    @property
    def _is_served(self) -> bool:
        """Whether a predecessor is alive, as far as its status says."""
        try:
            status = read_status(self._before)
        except (OSError, IntegrityError):
            return False  # none, or replaced in this moment
        return self._is_fresh(status.at) and status.state != "stopped"

    def _is_fresh(self, at: int) -> bool:
        """Whether something was said lately; who is ahead with its clock speaks too."""
        return self._clock() - at < STALE_S * US_PER_S

    def _newest(self) -> Handed | None:
        """The predecessor's word to this worker, while it is renewed."""
        try:
            word = _decode(self._word.read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return word if word.to == self._name and self._is_fresh(word.at) else None

    def _successor_asks(self) -> str:
        """How a living successor calls itself; empty where there is none."""
        try:
            asked = _decode_asked(self._asked.read_bytes())
        except (OSError, msgspec.DecodeError):
            return ""
        return asked.by if self._is_fresh(asked.at) else ""

    def _say(self) -> None:
        successor, now = self._successor_asks(), self._clock()
        if not successor:
            if self._predecessor is not None:
                # The successor did not live to take over.
                self._alone()
                self._predecessor = None
                self._word.unlink(missing_ok=True)
            return
        if self._predecessor is None or self._predecessor.successor != successor:
            self._alone()  # what another successor was given that did not live to use it
            self._predecessor = Predecessor(successor, self._limiter, self._lanes, now)
            if self._closed:
                self._predecessor.close(now)
        self._write(self._word, self._predecessor.word(now))

    def _alone(self) -> None:
        now = self._clock()
        if self._limiter is not None:
            self._limiter.part_with(None, now)
        self._lanes.part_with(None, now)

    def _write(self, path: Path, content: Asked | Handed) -> None:
        """Replace a file atomically; not synced, because it is about now."""
        beside = path.with_name(f"{path.name}.new")
        try:
            beside.write_bytes(_encode(content))
            beside.replace(path)
        except OSError:
            # The other one goes on with what it knows, as one whose partner hangs.
            self._failed("handover_unwritable")

    def close(self) -> None:
        """This worker takes nothing new any more."""
        self._closed = True
        if self._predecessor is not None:
            now = self._clock()
            self._predecessor.close(now)
            self._write(self._word, self._predecessor.word(now))

    def end(self) -> None:
        """This worker ends: who shares its limits has them alone."""
        if self._predecessor is not None:
            self._word.unlink(missing_ok=True)
        if self._successor is not None:
            self._asked.unlink(missing_ok=True)


def _accounts(limiter: Limiter | None) -> Mapping[Name, Account]:
    return {} if limiter is None else limiter.accounts


def _larger(whole: int) -> int:
    return whole - whole // 2
