"""How much at once, of all machines together? Parts of shared limits, leased in the background.

Pure: (accounts, event, now) in, a permit or a refusal out, as in `limits`, whose accounts these
are. A worker lets pass what it holds of the shared buckets and never waits for the store: it says
what it spent and what it wants (`report`), and is told what it may hold (`Answer`). What it holds
does not come back into the shared bucket meanwhile, so the sum over all workers is what one bucket
would let pass. Where the store is gone, each worker has its even part of the limit to itself.

Above that there are three things, all stated in docs/howto/shared-limits.md: a worker that meets a
customer for the first time in a minute lets its first request pass and an eighth of an even part
more, before it has asked; estimates that fell short are taken afterwards, as ever; and whoever
comes back after an outage says then what it let pass on its own.
"""

from collections.abc import Callable, Iterable, Set
from typing import Final

import msgspec

from quartermaster.gateway.bucket_leased import ROUNDS_IN_HAND, UNIT, Held, LeasedBucket
from quartermaster.gateway.limits import Account, Bucket, Limiter, Scoped
from quartermaster.gateway.rate_headers import RateLimitedError
from quartermaster.kernel.limit import Shares

FIRST_PART: Final = 8
"""Part of its even share that a worker may let pass before it has asked for any."""

HEARTBEAT_ROUNDS: Final = 20
"""A worker that holds something says so every second; the store forgets it after five."""

IDLE_ROUNDS: Final = 1_200
"""After a minute without a request, in which the bucket has filled, everything is given back."""

REJOIN_ROUNDS: Final = 20
"""For a second after the store is back each worker says what it let pass alone, before any of them
is granted a part of the rest."""

# What the script takes for no limit at all: every limit is 0 or more.
_NO_LIMIT: Final = -1
_NO_LEASE: Final = (_NO_LIMIT, 0, 0, 0, 0, 0)
_NO_SLOTS: Final = (_NO_LIMIT, 0, 0, 0)


class Answer(msgspec.Struct, frozen=True):
    """What the store says of one account."""

    made: str
    """Names the life of the account in the store: one that was emptied has another."""
    requests: Held
    tokens: Held
    slots: int
    """Open requests that this worker may have."""
    lacked: bool
    """Somebody could not have what a request needed: nobody keeps what it does not need now."""


class LeasedAccount(Account):
    """What one key, project or group has taken from this worker, of limits that all share.

    Args:
        of: whose it is, with the limits of the whole installation.
        peers: workers of all machines.
        now: microseconds.
    """

    __slots__ = (
        "_alone",
        "_hurries",
        "_made",
        "_number",
        "_open_before",
        "_peak_opened",
        "_peers",
        "_refused_open",
        "_silent",
        "lacked",
        "pending",
        "quiet",
        "slots",
        "touched",
    )

    def __init__(self, of: Scoped, peers: int, now: int) -> None:
        self._made = ""
        self._number = self._open_before = self._peak_opened = self._silent = 0
        self._refused_open = self._hurries = self._alone = False
        self._peers = peers
        self.pending: tuple[int, ...] | None = None
        """A report that has not been answered."""
        self.lacked = False
        self.quiet = 0
        """Rounds without a request."""
        self.touched = True
        """Whether a request came since the last round."""
        self.slots = 0
        super().__init__(of, of.limits.share(1, 0), now)

    def allow(self, of: Scoped, shares: Shares, now: int) -> None:  # noqa: ARG002 - leased here
        """Perhaps other limits than before; what was taken stays taken."""
        self.of = of
        whole = of.limits
        self.requests = self._resized(self.requests, whole.requests_per_minute, now)
        self.tokens = self._resized(self.tokens, whole.tokens_per_minute, now)
        if whole.concurrent is not None and not self.slots:
            self.slots = max(self._first(whole.concurrent), 1)
        self._allow_slots()

    def _resized(
        self, bucket: Bucket | None, per_minute: int | None, now: int
    ) -> LeasedBucket | None:
        if per_minute is None:
            return None
        if not isinstance(bucket, LeasedBucket):
            return LeasedBucket(per_minute, self._first(per_minute), now)
        bucket.refill(now)
        bucket.per_minute = self.part(per_minute) if bucket.local else per_minute
        return bucket

    def _allow_slots(self) -> None:
        whole = self.of.limits
        concurrent = None if whole.concurrent is None else self.slots
        self.shares = Shares(whole.requests_per_minute, whole.tokens_per_minute, concurrent)

    def _first(self, whole: int) -> int:
        return whole // (self._peers * FIRST_PART)

    def part(self, whole: int) -> int:
        """A worker's even part of a limit; also where there are more workers than units."""
        return max(whole // self._peers, 1) if whole else 0

    def refusals(self, tokens: int) -> list[RateLimitedError]:
        """Why a request of so many tokens may not pass now; takes nothing."""
        concurrent = self.shares.concurrent
        if concurrent is not None and self.open >= concurrent:
            self._refused_open = True
        return super().refusals(tokens)

    # -- exchange ----------------------------------------------------------------------------------

    def _buckets(self) -> Iterable[tuple[LeasedBucket | None, int]]:
        """Requests and tokens with their whole limits."""
        limits = self.of.limits
        for bucket, whole in (
            (self.requests, limits.requests_per_minute),
            (self.tokens, limits.tokens_per_minute),
        ):
            yield (bucket if isinstance(bucket, LeasedBucket) else None), whole or 0

    def report(self) -> tuple[int, ...] | None:
        """What the store should hear this round, most often nothing; an unheard one again."""
        if self.pending is not None:
            return self.pending
        news = self._refused_open or self._hurries or self.open > self._open_before
        for bucket, _ in self._buckets():
            news = news or (bucket is not None and bucket.has_news)
        self.quiet = 0 if self.touched or self.open else self.quiet + 1
        self.touched = False
        self._open_before = min(self._open_before, self.open)
        self._silent += 1
        if not news and not self.is_idle and self._silent < HEARTBEAT_ROUNDS:
            return None
        rounds, self._silent, self._hurries = self._silent, 0, False
        self._number += 1
        requests, tokens = (
            _NO_LEASE if bucket is None else bucket.report(whole, self._standing(whole), rounds)
            for bucket, whole in self._buckets()
        )
        self.pending = (self._number, *requests, *tokens, *self._slots_wanted())
        return self.pending

    @property
    def is_idle(self) -> bool:
        """Whether it should give everything back."""
        return self.quiet >= IDLE_ROUNDS and not self.open

    def _standing(self, whole: int) -> int:
        """Levels that may be held for requests that nobody expects."""
        return 0 if self.lacked or self.is_idle else self.part(whole) * UNIT

    def _slots_wanted(self) -> tuple[int, ...]:
        whole = self.of.limits.concurrent
        if whole is None:
            return _NO_SLOTS
        opened = max(self.open - self._open_before, 0)
        self._peak_opened = max(opened, self._peak_opened * 3 // 4)
        self._open_before = self.open
        need = self.open + 1 if self._refused_open else 0
        self._refused_open = False
        standing = self._standing(whole) // UNIT
        if self._alone:
            return (whole, self.open, self.open, 0)
        want = max(self.open + max(ROUNDS_IN_HAND * self._peak_opened, standing), need)
        want = min(want, max(whole, self.open))
        self.slots = max(min(self.slots, want), self.open)
        self._allow_slots()
        return (whole, self.slots, want, need)

    def answered(self, answer: Answer, now: int, peers: int) -> None:
        """What the store says to the pending report."""
        self.pending = None
        self._peers = max(peers, 1)
        if self._alone:
            return  # it was told, and has granted nothing
        anew = answer.made != self._made
        self._made = answer.made
        # What was kept for nobody is given back in the next round, not with the next news.
        self._hurries = answer.lacked and not self.lacked
        self.lacked = answer.lacked
        for (bucket, _), held in zip(
            self._buckets(), (answer.requests, answer.tokens), strict=True
        ):
            if bucket is not None:
                bucket.answered(held, now, anew=anew)
        self.slots = answer.slots
        self._allow_slots()

    def say_again(self) -> None:
        """What is held is said in the next round, also without news."""
        self._hurries = True

    def leave(self) -> None:
        """No request comes any more: the next report gives everything back."""
        self.forget()
        self._peak_opened = 0
        self.quiet, self.touched = IDLE_ROUNDS, False

    def forget(self) -> None:
        """Everything was given back."""
        self.slots = max(self._first(self.of.limits.concurrent or 0), 1)
        self._allow_slots()
        for bucket, _ in self._buckets():
            if bucket is not None:
                bucket.forget()

    def stand_alone(self, peers: int) -> None:
        """The store is gone: have an even part of every limit to itself."""
        self._peers = peers
        self._alone = True
        for bucket, whole in self._buckets():
            if bucket is not None and not bucket.local:
                bucket.stand_alone(self.part(whole), peers)
        self.slots = self.part(self.of.limits.concurrent or 0)
        self._allow_slots()

    def join(self) -> None:
        """The store is back."""
        self._alone = False
        for bucket, whole in self._buckets():
            if bucket is not None and bucket.local:
                bucket.join(whole)
        self.slots = max(self.open, 1)
        self._allow_slots()


class LeasedLimiter(Limiter):
    """The accounts of one worker, of limits that all machines share.

    Args:
        workers: processes of this machine.
        number: which of them this is, from 0.
    """

    def __init__(self, workers: int, number: int) -> None:
        super().__init__(workers, number)
        self.peers = max(workers, number + 1)
        """Workers of all machines, as far as they are known."""
        self.alone = False
        """Whether the store is gone."""
        self.met: Callable[[], None] = _nobody_is_told
        """Called when a customer came whom the store should hear of at once."""
        self._active: dict[tuple[str, str], LeasedAccount] = {}
        self._new: list[tuple[str, str]] = []
        """Of these, those of whom the store has not heard."""
        self._rounds_back = 0

    def _account(self, of: Scoped, now: int) -> Account:
        name = (of.scope, of.name)
        account = self._active.get(name)
        if account is None:
            account = self._meet(name, of, now)
        elif account.of is not of and account.of != of:
            account.allow(of, account.shares, now)
        else:
            account.refill(now)
        account.touched = True
        return account

    def _meet(self, name: tuple[str, str], of: Scoped, now: int) -> LeasedAccount:
        known = self._accounts.get(name)
        if isinstance(known, LeasedAccount):
            account = known
            account.allow(of, account.shares, now)
        else:
            account = LeasedAccount(of, self.peers, now)
            self._accounts[name] = account
        self._active[name] = account
        if self.alone:
            account.stand_alone(self.peers)
        else:
            self._new.append(name)
            self.met()
        return account

    def keep(self, limited: Iterable[Scoped]) -> None:
        """Forget who has no limits any more, except those that have requests open."""
        lanes = (one.of for one in self._accounts.values() if one.of.scope == "lane")
        self._keep((*limited, *lanes))

    def keep_lanes(self, names: Set[str]) -> None:
        """Forget provisioned units that nobody has any more."""
        self._keep(
            one.of
            for one in self._accounts.values()
            if one.of.scope != "lane" or one.of.name in names
        )

    def _keep(self, kept: Iterable[Scoped]) -> None:
        super().keep(kept)
        self._active = {
            name: account for name, account in self._active.items() if name in self._accounts
        }

    def reports(
        self, most: int, *, hurried: bool = False
    ) -> dict[tuple[str, str], tuple[int, ...]]:
        """What the store should hear now, of at most so many accounts; others come next.

        Args:
            most: accounts.
            hurried: only of those whom it does not know; this is not a round, by which time is
                counted, for anybody else.
        """
        found: dict[tuple[str, str], tuple[int, ...]] = {}
        new, self._new = self._new, []
        for name in new if hurried else self._active:
            account = self._active.get(name)
            report = None if account is None else account.report()
            if report is not None:
                found[name] = report
                if len(found) == most:
                    break
        for name in found:
            # Whoever was heard is asked last the next time.
            self._active[name] = self._active.pop(name)
        return found

    def answered(self, answers: dict[tuple[str, str], Answer], now: int, peers: int) -> None:
        """The store has heard the reports.

        Args:
            answers: by account.
            now: microseconds.
            peers: workers of all machines.
        """
        self.peers = max(peers, 1)
        if self.alone:
            self._rounds_back += 1
            if self._rounds_back >= REJOIN_ROUNDS:
                self.alone = False
                for account in self._active.values():
                    account.join()
        for name, answer in answers.items():
            answering = self._active.get(name)
            if answering is None or answering.pending is None:
                continue
            answering.answered(answer, now, self.peers)
            # Until all share again it stays: it has an even part, and must be told to join.
            if answering.is_idle and not (answering.touched or self.alone):
                answering.forget()
                del self._active[name]

    def say_again(self) -> None:
        """The store may not know what is held: all of it is said in the next rounds."""
        for account in self._active.values():
            account.say_again()

    def leave(self) -> int:
        """No request comes any more: the next reports give everything back, of so many accounts."""
        for account in self._active.values():
            account.leave()
        return len(self._active)

    def stand_alone(self) -> None:
        """The store is gone: let pass an even part of every limit."""
        self.alone = True
        self._rounds_back = 0
        for account in self._active.values():
            account.stand_alone(self.peers)


def _nobody_is_told() -> None:
    """Until somebody wants to hear of it."""
