"""How much of a budget may still be spent, and by whom? Asks and shipped usage in, grants out.

    settled spending + what every life of every worker was granted and has not shipped <= budget

A worker is granted cumulative limits (see `kernel.lease`). What of a limit is in the usage table is
settled spending, and no longer a lease; the rest counts as spent, whatever became of the worker,
until its log is in the table to the end. Shipping moves money from one side of the sum to the
other, so only a grant can make it grow, and a grant is never larger than the room that is left.

The one thing that can exceed it is what was running, or arrived within the fifth of a second,
when a budget was set or lowered.
"""

from collections.abc import Iterable, Mapping

import msgspec

from quartermaster.kernel.budget import PICOS_PER_NANO, nanos_of
from quartermaster.kernel.events import Cut
from quartermaster.kernel.lease import UNKNOWN, Ask, AskedLease, Grant, GrantedLease, Life

Name = tuple[str, str]
"""A budget and a period: `budget_id`, `Epoch.id`."""

STANDING_PARTS = 64
"""All idle workers together may keep this part of a budget, so that the first request of a quiet
customer waits for nobody."""

FAIR_SHARE = 2
"""A worker is granted at most this part of its even share of the room at once: it can ask again,
and near the end of a budget money must not lie with one worker while another refuses."""

NEARLY_SPENT = 10
"""A refusal with less than this part of a budget left means that it is spent."""


class Spending(msgspec.Struct, frozen=True):
    """What usage of one segment costs in one budget and period."""

    app_id: str
    segment: int
    name: Name
    picos: int


class BudgetState(msgspec.Struct, frozen=True):
    """One budget in one period, as far as it is known; nanos."""

    budget: str
    epoch: str
    amount: int
    settled: int
    """In the usage table."""
    leased: int
    """Granted to workers and not settled."""
    refusing: bool
    """The rest is too little for a request that was refused for it."""


class Elsewhere(msgspec.Struct, frozen=True):
    """What other grantors said last of a budget that several machines share; nanos."""

    held: int = 0
    """Of the budget, for what they settled and what they lease."""
    settled: int = 0
    used: int = 0
    """Settled, or known to be spent."""
    grantors: int = 1
    """All of them, this one included."""


NOBODY_ELSE = Elsewhere()


class Wish(msgspec.Struct, frozen=True):
    """What one grantor has of a budget and wants of it; nanos."""

    settled: int
    used: int
    liable: int
    """Settled or leased: what it must hold."""
    goal: int
    """What it would hold with all that its workers want."""
    need: int
    """The least with which a refused request could pass; 0 where none was refused."""


def extension(base: int, goal: int, need: int, room: int, sharers: int) -> int:
    """By how much a lease grows: the one rule by which money is divided.

    Args:
        base: what is held.
        goal: what is wanted.
        need: what a refused request needs; 0 where none was refused.
        room: what is neither spent nor leased.
        sharers: who else may come for it, the asker included.

    Returns:
        0 where there is not enough to help anybody.
    """
    most = max(room // (FAIR_SHARE * sharers), need - base)
    more = min(goal - base, most, room)
    return more if more > 0 and base + more >= min(need, goal) else 0


class _Claim:
    """One worker's lease in one life."""

    __slots__ = ("asked", "first_segment", "limit", "shipped")

    def __init__(self, first_segment: int, limit: int, shipped: int = 0) -> None:
        self.first_segment = first_segment
        self.limit = limit
        self.shipped = shipped
        self.asked: AskedLease | None = None

    @property
    def outstanding(self) -> int:
        """What of the limit is not settled, in nanos."""
        return max(self.limit - self.shipped // PICOS_PER_NANO, 0)

    @property
    def base(self) -> int:
        """From where it grows, in nanos."""
        return max(self.limit, self.shipped // PICOS_PER_NANO)

    @property
    def unshipped(self) -> int:
        """What is known to be spent and is not settled, in nanos."""
        spent = 0 if self.asked is None else self.asked.spent
        return max(spent - self.shipped // PICOS_PER_NANO, 0)


class _Tenure:
    """One life of a worker."""

    __slots__ = ("answers", "claims", "first_segment", "life")

    def __init__(self, life: str, first_segment: int, answers: int = 0) -> None:
        self.life = life
        self.first_segment = first_segment
        self.answers = answers
        self.claims: dict[Name, _Claim] = {}


class LeaseLedger:
    """Who holds what of which budget.

    Args:
        shared: whether other grantors lease of the same budgets; of each this one has a part only,
            and until it is known (`share`) it has none.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._parts: dict[Name, int] = {}
        self._elsewhere: dict[Name, Elsewhere] = {}
        self._touched: set[Name] = set()
        self._amounts: dict[Name, int] = {}
        self._settled: dict[Name, int] = {}
        self._tenures: dict[str, list[_Tenure]] = {}
        self._published: dict[str, Grant] = {}
        self._standing: dict[Name, int] = {}
        self.cut: Cut = {}
        """Segments whose spending is settled."""

    # -- what is agreed and what was used ----------------------------------------------------------

    def agree(self, amounts: Mapping[Name, int]) -> None:
        """All budgets that there are, in nanos; whoever is not named is granted nothing."""
        self._amounts = dict(amounts)

    def share(self, name: Name, part: int, elsewhere: Elsewhere) -> None:
        """What of a budget is ours to lease, and what others said of the rest."""
        self._parts[name] = part
        self._elsewhere[name] = elsewhere

    def wish(self, name: Name) -> Wish:
        """What we have of a budget, and what our workers want of it."""
        settled = nanos_of(self._settled[name])
        claims = self._claims(name)
        liable = settled + sum(claim.outstanding for claim in claims)
        goal, lacking = liable, 0
        living = self._living(name)
        standing = self._standing_of(name, len(living))
        for claim in living:
            asked, base = claim.asked, claim.base
            assert asked is not None, "those that live have asked"
            goal += max(asked.want - base, asked.spent + asked.reserved + standing - base, 0)
            if asked.need > base:
                lacking = min(lacking or asked.need - base, asked.need - base)
        used = settled + sum(claim.unshipped for claim in claims)
        return Wish(settled, used, liable, goal, liable + lacking if lacking else 0)

    def touched(self) -> set[Name]:
        """Budgets of which workers or the usage table said something since this was asked last."""
        touched, self._touched = self._touched, set()
        return touched

    def known(self) -> dict[Name, int]:
        """Agreed budgets whose spending is known, with their amounts."""
        settled = self._settled
        return {name: amount for name, amount in self._amounts.items() if name in settled}

    def unsettled(self) -> list[Name]:
        """Agreed budgets whose spending so far was not told yet; they are granted nothing."""
        return [name for name in self._amounts if name not in self._settled]

    def settle(self, name: Name, picos: int) -> None:
        """All spending of a budget up to the cut."""
        self._settled[name] = picos

    def ship(self, spending: Iterable[Spending], cut: Cut) -> None:
        """More usage is in the table.

        Args:
            spending: of all segments behind the last cut and up to this one.
            cut: where the table is now.
        """
        for one in spending:
            if one.name in self._settled:
                self._settled[one.name] += one.picos
            self._touched.add(one.name)
            self._shipped(one)
        self.cut = dict(cut)
        for app_id in self._tenures:
            self._forget_replayed(app_id)

    def _shipped(self, one: Spending) -> None:
        """Take shipped spending off the lease of the life that wrote it."""
        for tenure in reversed(self._tenures.get(one.app_id, ())):
            if tenure.first_segment <= one.segment:
                claim = tenure.claims.get(one.name)
                if claim is not None and claim.first_segment <= one.segment:
                    claim.shipped += one.picos
                return

    def _forget_replayed(self, app_id: str) -> None:
        """Earlier lives end as lease holders when all that they wrote is in the table."""
        tenures = self._tenures[app_id]
        settled_to = self.cut.get(app_id, 0)
        while len(tenures) > 1 and tenures[1].first_segment - 1 <= settled_to:
            del tenures[0]

    # -- workers -----------------------------------------------------------------------------------

    def restore(
        self, app_id: str, grant: Grant, shipped_since: Iterable[Spending], cut: Cut
    ) -> None:
        """Know again what an earlier grantor gave.

        Args:
            app_id: of the worker.
            grant: the last one that was written.
            shipped_since: the worker's spending behind `grant.shipped_segment`, up to the cut.
            cut: where the table is.
        """
        self._tenures[app_id] = [_tenure(life) for life in (*grant.earlier, grant.now)]
        self.cut = dict(cut)
        for one in shipped_since:
            self._shipped(one)
        self._forget_replayed(app_id)

    def ask(self, app_id: str, ask: Ask) -> None:
        """A worker asks; an ask that was heard already changes nothing."""
        tenures = self._tenures.setdefault(app_id, [])
        if not tenures or tenures[-1].life != ask.life:
            if any(tenure.life == ask.life for tenure in tenures):
                return  # a file of an earlier life that came back
            tenures.append(_Tenure(ask.life, ask.first_segment))
            self._forget_replayed(app_id)
        tenure = tenures[-1]
        heard = tenure.answers >= ask.number
        tenure.answers = max(tenure.answers, ask.number)
        for asked in ask.leases:
            name = asked.budget, asked.epoch
            claim = tenure.claims.get(name)
            if claim is None or claim.first_segment != asked.first_segment:
                claim = tenure.claims[name] = _Claim(asked.first_segment, asked.held)
            elif not heard or asked.held > claim.limit:
                claim.limit = asked.held
            if claim.asked != asked:
                claim.asked = asked
                self._touched.add(name)
        self._forget_ended(tenure, {(asked.budget, asked.epoch) for asked in ask.leases})

    def _forget_ended(self, tenure: _Tenure, asked: set[Name]) -> None:
        """Leases of periods that are over for us and for the worker."""
        for name in tenure.claims.keys() - asked - self._amounts.keys():
            del tenure.claims[name]

    def gone(self, app_id: str) -> None:
        """A worker is dead, and all that it wrote is in the table: it holds nothing any more."""
        self._tenures.pop(app_id, None)
        self._published.pop(app_id, None)

    def workers(self) -> dict[str, int]:
        """Workers that hold or held leases; the segment up to which each is settled."""
        return {app_id: self.cut.get(app_id, 0) for app_id in self._tenures}

    # -- grants ------------------------------------------------------------------------------------

    def grants(self) -> dict[str, Grant]:
        """Grant what can be granted; the answers that are new, by worker."""
        for name in self._amounts:
            if name in self._settled:
                self._grant(name)
        new = {}
        for app_id, tenures in self._tenures.items():
            grant = self._answer(app_id, tenures)
            if _differs(grant, self._published.get(app_id)):
                new[app_id] = self._published[app_id] = grant
        return new

    def not_written(self, app_id: str) -> None:
        """An answer did not reach its file; it is given again, and counts as granted meanwhile."""
        self._published.pop(app_id, None)

    def _grant(self, name: Name) -> None:
        living = self._living(name)
        room = self.room(name)
        workers = max(len(living), 1)
        standing = self._standing[name] = self._standing_of(name, len(living))
        for claim in sorted(living, key=_need if standing == 0 else _in_hand):
            asked = claim.asked
            assert asked is not None, "those that live have asked"
            goal = max(asked.want, asked.spent + asked.reserved + standing)
            more = extension(claim.base, goal, asked.need, room, workers)
            if more:
                claim.limit = claim.base + more
                room -= more

    def _living(self, name: Name) -> list[_Claim]:
        """Leases of workers' last lives."""
        return [
            claim
            for tenures in self._tenures.values()
            if (claim := tenures[-1].claims.get(name)) is not None and claim.asked is not None
        ]

    def _standing_of(self, name: Name, living: int) -> int:
        """What a worker may keep for requests that it does not expect."""
        elsewhere = self._elsewhere.get(name, NOBODY_ELSE)
        workers = max(living, 1)
        standing = self._amounts[name] // (STANDING_PARTS * workers * elsewhere.grantors)
        room = self.room(name)
        if self._shared:
            # What nobody holds is a question away.
            room += max(self._amounts[name] - self._parts.get(name, 0) - elsewhere.held, 0)
        return 0 if room < 2 * workers * standing else standing

    def room(self, name: Name) -> int:
        """What may still be granted, in nanos; negative where a budget was lowered."""
        leased = sum(claim.outstanding for claim in self._claims(name))
        whole = self._amounts[name]
        part = min(self._parts.get(name, 0), whole) if self._shared else whole
        return part - nanos_of(self._settled[name]) - leased

    def _knows(self, name: Name) -> bool:
        return name in self._amounts and name in self._settled

    def _left(self, name: Name) -> int:
        """What nobody has spent of a known budget, as far as its workers say."""
        unshipped = sum(claim.unshipped for claim in self._claims(name))
        used = self._elsewhere.get(name, NOBODY_ELSE).used
        return max(self._amounts[name] - nanos_of(self._settled[name]) - unshipped - used, 0)

    def _claims(self, name: Name) -> list[_Claim]:
        return [
            claim
            for tenures in self._tenures.values()
            for tenure in tenures
            if (claim := tenure.claims.get(name)) is not None
        ]

    def _answer(self, app_id: str, tenures: list[_Tenure]) -> Grant:
        lives = [
            Life(
                tenure.life,
                tenure.first_segment,
                tenure.answers,
                tuple(
                    GrantedLease(
                        *name,
                        claim.first_segment,
                        claim.limit,
                        self._left(name) if self._knows(name) else UNKNOWN,
                        self._standing.get(name, 0),
                        claim.shipped,
                    )
                    for name, claim in tenure.claims.items()
                ),
            )
            for tenure in tenures
        ]
        return Grant(lives[-1], tuple(lives[:-1]), self.cut.get(app_id, 0))

    def states(self) -> list[BudgetState]:
        """Every agreed budget whose spending is known."""
        return [
            BudgetState(
                *name,
                amount,
                nanos_of(self._settled[name]) + elsewhere.settled,
                sum(claim.outstanding for claim in self._claims(name))
                + max(elsewhere.held - elsewhere.settled, 0),
                self._refusing(name, amount),
            )
            for name, amount in self._amounts.items()
            if name in self._settled
            for elsewhere in (self._elsewhere.get(name, NOBODY_ELSE),)
        ]

    def _refusing(self, name: Name, amount: int) -> bool:
        left = self._left(name)
        if left * NEARLY_SPENT > amount:
            return False
        return any(
            claim.asked is not None
            and claim.asked.need > claim.limit
            and claim.asked.need - claim.asked.spent - claim.asked.reserved > left
            for claim in self._claims(name)
        )


def _tenure(life: Life) -> _Tenure:
    tenure = _Tenure(life.life, life.first_segment, life.answers)
    for lease in life.leases:
        name = lease.budget, lease.epoch
        tenure.claims[name] = _Claim(lease.first_segment, lease.limit, lease.shipped_picos)
    return tenure


def _in_hand(claim: _Claim) -> int:
    """Who has least is granted first."""
    asked = claim.asked
    return claim.limit - (0 if asked is None else asked.spent + asked.reserved)


def _need(claim: _Claim) -> tuple[bool, int]:
    """Where money is short: who was refused the least first, then who only expects."""
    asked = claim.asked
    lacking = 0 if asked is None else max(asked.need - claim.limit, 0)
    return not lacking, lacking


def _differs(grant: Grant, published: Grant | None) -> bool:
    """Whether a worker has to read it; what is settled alone is no news to a worker."""
    if (
        published is None
        or grant.earlier != published.earlier
        or len(grant.now.leases) != len(published.now.leases)
    ):
        return True
    if (grant.now.life, grant.now.answers) != (published.now.life, published.now.answers):
        return True
    return any(
        (one.limit, one.standing) != (before.limit, before.standing)
        or (one.standing == 0 and one.left != before.left)
        for one, before in zip(grant.now.leases, published.now.leases, strict=True)
    )
