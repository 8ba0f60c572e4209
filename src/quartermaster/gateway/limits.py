"""How much at once? Requests a minute, tokens a minute and open requests of a key and its group.

Pure: (accounts, event, now) in, a permit or a refusal out, in integers. A bucket holds one minute
of its limit and is refilled evenly, so that in any time `t` no more than the limit times
`(1 + t in minutes)` passes. Tokens are taken at arrival by an estimate and corrected at the end by
what was metered.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Protocol

import msgspec

from quartermaster.gateway.budget import Hold
from quartermaster.gateway.meter import Metered
from quartermaster.gateway.rate_headers import RateLimitedError, Reading, duration, whose
from quartermaster.gateway.spillover import Spare
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.limit import Limits, LimitScope, Shares, project_name
from quartermaster.kernel.snapshot import KeyGrant
from quartermaster.kernel.units import Counts

_US_PER_MINUTE: Final = 60 * US_PER_S
# When an open request ends is not known; most answers take seconds.
CONCURRENT_WAIT_US: Final = US_PER_S
# An estimate that fell short is taken afterwards, but one absurd count of a model server must not
# lock a customer out for days: an hour of the limit is the most that one can be behind.
DEBT_MINUTES_MAX: Final = 60


class Bucket:
    """Units that are taken at once and come back evenly over a minute.

    Levels are kept in millionths of a sixtieth of a unit, in which a microsecond of refilling is
    `per_minute`: no step rounds.

    Args:
        per_minute: size of the bucket, and what comes back in a minute.
        now: microseconds of a clock; one that goes back refills nothing and harms nothing.
    """

    __slots__ = ("_at", "_drained", "_used", "per_minute")

    def __init__(self, per_minute: int, now: int) -> None:
        self.per_minute = per_minute
        self._at = now
        self._used = 0
        # Everything that ever came back: what has come back once is not given back again.
        self._drained = 0

    def refill(self, now: int) -> None:
        """Let time pass."""
        elapsed_us = now - self._at
        self._at = now
        if elapsed_us > 0 and self._used:
            self._give_back(min(self._used, elapsed_us * self.per_minute))

    def _give_back(self, level: int) -> None:
        self._used -= level
        self._drained += level

    def wait_us(self, units: int) -> int:
        """How long until so many can be taken, 0 for now; never for more than the bucket holds."""
        lacking = self._used + (units - self.per_minute) * _US_PER_MINUTE
        if lacking <= 0:
            return 0
        return -(-lacking // max(self.per_minute, 1))

    @property
    def used(self) -> int:
        """The level as it is kept."""
        return self._used

    @property
    def total(self) -> int:
        """Everything that was ever taken."""
        return self._used + self._drained

    def give_half(self) -> int:
        """Half of the level, which another bucket is to have from now on."""
        given = self._used // 2
        self._used -= given
        return given

    def add(self, level: int) -> None:
        """A level that another bucket gave."""
        self._used += level

    def take(self, units: int) -> int:
        """Take units; the mark is for `correct`."""
        self._used += units * _US_PER_MINUTE
        return self._used + self._drained

    def correct(self, mark: int, taken: int, actual: int) -> None:
        """Take what was too little, give back what was too much and has not come back since.

        Args:
            mark: what `take` answered.
            taken: units taken at that time.
            actual: units that it turned out to be.
        """
        if actual > taken:
            most = DEBT_MINUTES_MAX * self.per_minute * _US_PER_MINUTE
            more = (actual - taken) * _US_PER_MINUTE
            self._used = max(self._used, min(self._used + more, most))
        else:
            # The least that the bucket can have been short of since, had nothing been taken later:
            # beyond it, refilling would have had nothing to refill, and is lost.
            still_taken = max(mark - self._drained, 0)
            excess = min((taken - actual) * _US_PER_MINUTE, still_taken, self._used)
            self._give_back(excess)

    @property
    def level(self) -> int:
        """Whole units that are taken, rounded up."""
        return -(-self._used // _US_PER_MINUTE)

    @property
    def remaining(self) -> int:
        """Whole units that can be taken now."""
        return max(self.per_minute - self.level, 0)

    @property
    def full_in_us(self) -> int:
        """How long until the bucket is full when nobody takes from it."""
        return -(-self._used // max(self.per_minute, 1))


class Scoped(msgspec.Struct, frozen=True, gc=False):
    """Whose limits, and which."""

    scope: LimitScope | Literal["throttle", "lane"]
    """`throttle`: the slice of a throttled group, by the group's name; `lane`: provisioned units
    that machines share."""
    name: str
    limits: Limits


def scoped(
    grant: KeyGrant, group: Limits | None, project: Limits | None = None
) -> tuple[Scoped, ...]:
    """What limits a key: its own limits, its project's and its group's; most often nothing."""
    every: tuple[tuple[LimitScope, str, Limits | None], ...] = (
        ("key", grant.key_id, grant.limits),
        ("project", project_name(grant.customer, grant.project), project),
        ("group", grant.group, group),
    )
    return tuple(Scoped(scope, name, limits) for scope, name, limits in every if limits)


class Account:
    """What one key or one group has taken from this worker.

    Args:
        of: whose it is, with the limits of the whole installation.
        shares: what is allowed here.
        now: microseconds.
    """

    __slots__ = ("closed", "of", "open", "parted", "requests", "shares", "tokens")

    def __init__(self, of: Scoped, shares: Shares, now: int) -> None:
        self.open = 0
        self.parted = False
        """Whether another worker has a part of its share for a moment."""
        self.closed = False
        """Whether another worker takes in this one's place what is new."""
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self.allow(of, shares, now)

    def allow(self, of: Scoped, shares: Shares, now: int) -> None:
        """Perhaps other limits than before; what was taken stays taken."""
        self.of = of
        self.shares = shares
        self.requests = _resized(self.requests, shares.requests_per_minute, now)
        self.tokens = _resized(self.tokens, shares.tokens_per_minute, now)

    def refill(self, now: int) -> None:
        """Let time pass."""
        if self.requests is not None:
            self.requests.refill(now)
        if self.tokens is not None:
            self.tokens.refill(now)

    def refusals(self, tokens: int) -> list[RateLimitedError]:
        """Why a request of so many tokens may not pass now; takes nothing."""
        if self.closed:
            return [_no_share(self.of, "requests")]
        found = []
        concurrent, requests, bucket = self.shares.concurrent, self.requests, self.tokens
        if concurrent is not None and self.open >= concurrent:
            found.append(_too_many_open(self.of, concurrent))
        if requests is not None and requests.wait_us(1):
            found.append(_too_many_requests(self.of, requests))
        if bucket is not None and bucket.wait_us(tokens):
            found.append(_too_many_tokens(self.of, bucket, tokens, parted=self.parted))
        return found


def _resized(bucket: Bucket | None, per_minute: int | None, now: int) -> Bucket | None:
    if per_minute is None:
        return None
    if bucket is None:
        return Bucket(per_minute, now)
    bucket.refill(now)
    bucket.per_minute = per_minute
    return bucket


class Riding(Protocol):
    """A request that runs on provisioned units."""

    def metered(self, counts: Counts, now: int) -> None:
        """The request's true counts are known; a second time changes nothing."""


class Permit:
    """A request that was let pass, until its last byte is delivered or its client is gone."""

    __slots__ = (
        "_accounts",
        "_taken",
        "_tokens",
        "ends_s",
        "hold",
        "output_tokens",
        "requests",
        "ride",
        "spare",
        "spilled_from",
        "tokens",
    )

    def __init__(
        self, accounts: tuple[Account, ...], tokens: int, hold: Hold | None = None
    ) -> None:
        self.hold = hold
        """What it has set aside of its budgets; most often nothing."""
        self.ride: Riding | None = None
        """What it takes of provisioned units; most often nothing."""
        self.spare: Spare | None = None
        """Where it goes on if its provisioned units fail; most often nowhere."""
        self.spilled_from = ""
        """The model whose provisioned units were fully used; most often none."""
        self.output_tokens: int | None = None
        """The most that its answers may have together; most often as many as they like."""
        self.ends_s: int | None = None
        """When its answer must have ended, by the relay's coarse clock; most often never."""
        self._accounts = accounts
        self._tokens = tokens
        self._taken: list[tuple[Bucket, int]] = []
        for account in accounts:
            account.open += 1
            if account.requests is not None:
                account.requests.take(1)
            if account.tokens is not None:
                self._taken.append((account.tokens, account.tokens.take(tokens)))
        self.requests, self.tokens = readings(accounts)

    def metered(self, tokens: int, now: int) -> None:
        """The request's true tokens are known; a second time changes nothing."""
        for bucket, mark in self._taken:
            bucket.refill(now)
            bucket.correct(mark, self._tokens, tokens)
        self._taken = []

    def closing(self, metered: Metered, failure: str, now: int) -> tuple[Metered, str]:
        """What the close record may say: a budget bounds what can be billed."""
        if self.hold is not None:
            metered = self.hold.within(metered)
            failure = failure or metered.note
            self.hold.closing(metered.counts, failure)
        if self.ride is not None:
            self.ride.metered(metered.counts, now)
        self.metered(metered.counts.tokens, now)
        return metered, failure

    def spills(self, model: str, hold: Hold | None, now: int) -> None:
        """It leaves the provisioned units, which served nothing of it."""
        if self.ride is not None:
            self.ride.metered(Counts(), now)
        self.ride = self.spare = None
        self.hold, self.spilled_from = hold, model

    def dated(self, now: Instant) -> Instant:
        """When an attempt begins: in the period in which money was set aside."""
        return now if self.hold is None else Instant(self.hold.dated(now))

    def durable(self) -> None:
        """The close record is on disk."""
        if self.hold is not None:
            self.hold.settle()

    def withdraw(self, now: int) -> None:
        """The request could not be opened after all; only that it was asked still counts."""
        if self.hold is not None:
            self.hold.release()
        if self.ride is not None:
            self.ride.metered(Counts(), now)
        self.metered(0, now)
        self.end()

    def end(self) -> None:
        """The request is not open any more; a second time changes nothing."""
        for account in self._accounts:
            account.open -= 1
        self._accounts = ()


def readings(accounts: tuple[Account, ...]) -> tuple[Reading | None, Reading | None]:
    """Requests and tokens of whichever account lets the least pass."""
    requests: Reading | None = None
    tokens: Reading | None = None
    for account in accounts:
        requests = _tighter(requests, account.requests, account.of.limits.requests_per_minute)
        tokens = _tighter(tokens, account.tokens, account.of.limits.tokens_per_minute)
    return requests, tokens


def _tighter(known: Reading | None, bucket: Bucket | None, limit: int | None) -> Reading | None:
    if bucket is None or limit is None:
        return known
    if known is not None and known.remaining <= bucket.remaining:
        return known
    return Reading(limit, bucket.remaining, bucket.full_in_us)


class Sibling(Protocol):
    """Another worker of the same number, while both of them serve."""

    @property
    def closed(self) -> bool:
        """Whether this worker leaves all that is new to the other one."""

    def part(self, name: tuple[str, str], whole: Shares) -> Shares:
        """What of a worker's shares is this one's."""

    def units(self, whole: int | None) -> int | None:
        """What of one share is this one's."""


class Limiter:
    """The accounts of one worker.

    Args:
        workers: processes that share every limit.
        number: which of them this is, from 0.
    """

    def __init__(self, workers: int, number: int) -> None:
        self._workers = max(workers, number + 1)
        self._number = number
        self._accounts: dict[tuple[str, str], Account] = {}
        self._sibling: Sibling | None = None

    @property
    def accounts(self) -> Mapping[tuple[str, str], Account]:
        """By scope and name."""
        return self._accounts

    def part_with(self, sibling: "Sibling | None", now: int) -> None:
        """Share what this worker has with another one of its number, or have it alone again."""
        self._sibling = sibling
        for name, account in self._accounts.items():
            account.allow(account.of, self._shares(name, account.of), now)
            self._know(account)

    def _know(self, account: Account) -> None:
        sibling = self._sibling
        account.parted, account.closed = sibling is not None, sibling is not None and sibling.closed

    def _shares(self, name: tuple[str, str], of: Scoped) -> Shares:
        whole = of.limits.share(self._workers, self._number)
        return whole if self._sibling is None else self._sibling.part(name, whole)

    def admit(self, limited: tuple[Scoped, ...], tokens: int, now: int) -> Permit:
        """Take from all accounts together, or from none.

        Args:
            limited: whose limits count, at least one.
            tokens: the estimate.
            now: microseconds.

        Raises:
            RateLimitedError: 429; it says when to come back, for whichever limit takes longest.
        """
        accounts = tuple([self._account(one, now) for one in limited])
        refusals: list[RateLimitedError] = []
        for account in accounts:
            refusals += account.refusals(tokens)
        if refusals:
            refusal = max(refusals, key=_hopelessness)
            refusal.requests, refusal.tokens = readings(accounts)
            raise refusal
        return Permit(accounts, tokens)

    def account(self, of: Scoped, now: int) -> Account:
        """What someone has taken here, up to now."""
        return self._account(of, now)

    def _account(self, of: Scoped, now: int) -> Account:
        name = (of.scope, of.name)
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account(of, self._shares(name, of), now)
            self._know(account)
        elif account.of is not of and account.of != of:
            account.allow(of, self._shares(name, of), now)
        else:
            account.refill(now)
        return account

    def keep(self, limited: Iterable[Scoped]) -> None:
        """Forget who has no limits any more, except those that have requests open."""
        names = {(one.scope, one.name) for one in limited}
        self._accounts = {
            who: account for who, account in self._accounts.items() if who in names or account.open
        }


def _hopelessness(refusal: RateLimitedError) -> tuple[bool, int]:
    return refusal.never, refusal.wait_us


def _too_many_open(of: Scoped, share: int) -> RateLimitedError:
    if not share:
        return _no_share(of, "concurrent requests")
    return _refusal(
        f"Too many requests at once for {whose(of.scope)}: limit {of.limits.concurrent}.",
        "requests",
        CONCURRENT_WAIT_US,
    )


def _too_many_requests(of: Scoped, bucket: Bucket) -> RateLimitedError:
    if not bucket.per_minute:
        return _no_share(of, "requests per minute")
    limit = of.limits.requests_per_minute
    return _refusal(
        f"Rate limit reached for {whose(of.scope)} on requests per minute: limit {limit}.",
        "requests",
        bucket.wait_us(1),
    )


def _too_many_tokens(of: Scoped, bucket: Bucket, tokens: int, *, parted: bool) -> RateLimitedError:
    limit = of.limits.tokens_per_minute
    if parted and tokens > bucket.per_minute:
        return _no_share(of, "tokens per minute")
    if tokens > bucket.per_minute:
        part = "" if bucket.per_minute == limit else f", of which {bucket.per_minute} here"
        return RateLimitedError(
            f"Request too large for {whose(of.scope)} on tokens per minute: limit {limit}{part},"
            f" requested {tokens}.",
            kind="tokens",
            hint="Send less, or ask for fewer output tokens.",
        )
    return _refusal(
        f"Rate limit reached for {whose(of.scope)} on tokens per minute: limit {limit},"
        f" requested {tokens}.",
        "tokens",
        bucket.wait_us(tokens),
    )


def _no_share(of: Scoped, what: str) -> RateLimitedError:
    """There are more workers than units; another worker may have one, over a new connection."""
    refusal = _refusal(
        f"This worker has no share of the {what} of {whose(of.scope)}.",
        "requests",
        CONCURRENT_WAIT_US,
    )
    refusal.elsewhere = True
    return refusal


def _refusal(message: str, kind: str, wait_us: int) -> RateLimitedError:
    hint = f"Please try again in {duration(wait_us).decode()}."
    return RateLimitedError(message, kind=kind, wait_us=wait_us, hint=hint)
