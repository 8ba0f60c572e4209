"""Double entry: sets of postings in integer minor units that sum to zero in every currency.

Debits are positive, credits negative. What is earned and not yet invoiced is debited to
`accrued_receivable:<customer>` and credited to `revenue:<customer>`. What is granted for service
that was withheld is debited to `service_credit:<customer>` and credited to
`credit_balance:<customer>`.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from quartermaster.book import tables
from quartermaster.kernel.errors import ConflictError, IntegrityError


class Posting(msgspec.Struct, frozen=True, order=True):
    """An amount on an account; debit positive, credit negative."""

    account: str
    minor: int
    currency: str


class PostingSet(msgspec.Struct, frozen=True):
    """Postings that belong together, why they were made and for which service period."""

    key: str
    contract: str
    period: str
    postings: tuple[Posting, ...]
    sample: bool = False


_ACCRUED = "accrued_receivable:"


def accrued_receivable(customer: str) -> str:
    """The account of what a customer owes and has not been invoiced for."""
    return f"{_ACCRUED}{customer}"


def revenue(customer: str) -> str:
    """The account of what was earned from a customer."""
    return f"revenue:{customer}"


def service_credit(customer: str) -> str:
    """The account of what a customer was granted for service that it did not get."""
    return f"service_credit:{customer}"


def credit_balance(customer: str) -> str:
    """The account of what the seller owes a customer in credits."""
    return f"credit_balance:{customer}"


def cost(deployment: str) -> str:
    """The account of what a model server's work has cost."""
    return f"cost:{deployment}"


def accrued_payable(deployment: str) -> str:
    """The account of what a model server's owner is owed and has not billed."""
    return f"accrued_payable:{deployment}"


def supply(deployment: str) -> str:
    """In the place of a contract in postings of a deployment's cost; no contract has such an id."""
    return f"supply:{deployment}"


def transfer(debit: str, credit: str, minor: int, currency: str) -> tuple[Posting, ...]:
    """Move an amount; nothing when it is zero. A negative amount takes back."""
    if minor == 0:
        return ()
    return Posting(debit, minor, currency), Posting(credit, -minor, currency)


def require_balanced(postings: Sequence[Posting]) -> None:
    """Check that the postings sum to zero in every currency.

    Raises:
        IntegrityError: they do not.
    """
    for currency, minor in _sums(postings).items():
        if minor != 0:
            raise IntegrityError(f"postings are off balance by {minor} minor units of {currency}")


class Ledger:
    """The postings, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def post(self, posting_set: PostingSet, *, seq: int, now: int) -> bool:
        """Write a set; True when it is new, False when the same set is already there.

        Args:
            posting_set: balanced, at least one posting.
            seq: the journal entry that made it necessary.
            now: microseconds UTC.

        Raises:
            IntegrityError: the postings do not balance.
            ConflictError: the key is taken by other postings.
        """
        if not posting_set.postings:
            raise IntegrityError("a posting set has no postings")
        require_balanced(posting_set.postings)
        written = self._written(posting_set.key)
        if written is not None:
            if written == posting_set.postings:
                return False
            raise ConflictError(f"posting set {posting_set.key!r} exists with other amounts")
        header = insert(tables.posting_sets).values(
            key=posting_set.key,
            at=now,
            seq=seq,
            contract=posting_set.contract,
            period=posting_set.period,
            sample=posting_set.sample,
            sealed=False,
        )
        inserted = self._connection.execute(header).inserted_primary_key
        assert inserted is not None, "a single insert returns its key"
        set_id = inserted[0]
        self._connection.execute(
            insert(tables.postings),
            [
                {"set_id": set_id, "line": line, **msgspec.structs.asdict(posting)}
                for line, posting in enumerate(posting_set.postings, start=1)
            ],
        )
        # The database refuses to seal a set that does not sum to zero.
        self._connection.execute(
            update(tables.posting_sets)
            .where(tables.posting_sets.c.id == set_id)
            .values(sealed=True)
        )
        return True

    def booked(self, contract: str, period: str, account: str) -> int:
        """Minor units on an account for one contract's service period."""
        of_period = (
            tables.postings.join(tables.posting_sets)
            .select()
            .with_only_columns(func.coalesce(func.sum(tables.postings.c.minor), 0))
        )
        return int(
            self._connection.execute(
                of_period.where(
                    tables.posting_sets.c.contract == contract,
                    tables.posting_sets.c.period == period,
                    tables.postings.c.account == account,
                )
            ).scalar_one()
        )

    def accrued(self) -> dict[tuple[str, str], int]:
        """Minor units earned and not yet invoiced, by (contract, period); no zeros."""
        columns = (tables.posting_sets.c.contract, tables.posting_sets.c.period)
        rows = self._connection.execute(
            tables.postings.join(tables.posting_sets)
            .select()
            .with_only_columns(*columns, func.sum(tables.postings.c.minor).label("minor"))
            .where(tables.postings.c.account.startswith(_ACCRUED, autoescape=True))
            .group_by(*columns)
            .order_by(*columns)
        )
        return {(row.contract, row.period): int(row.minor) for row in rows if row.minor}

    def balances(self, *, sample: bool = False) -> dict[tuple[str, str], int]:
        """Minor units by (account, currency); sample and real books never mix."""
        columns = (tables.postings.c.account, tables.postings.c.currency)
        rows = self._connection.execute(
            tables.postings.join(tables.posting_sets)
            .select()
            .with_only_columns(*columns, func.sum(tables.postings.c.minor).label("minor"))
            .where(tables.posting_sets.c.sample == sample)
            .group_by(*columns)
            .order_by(*columns)
        )
        return {(row.account, row.currency): int(row.minor) for row in rows}

    def verify(self) -> int:
        """Check that every set is sealed and balanced; returns how many sets there are.

        Raises:
            IntegrityError: names the first set that is not.
        """
        sets = self._connection.execute(
            select(tables.posting_sets).order_by(tables.posting_sets.c.id)
        ).all()
        for row in sets:
            if not row.sealed:
                raise IntegrityError(f"posting set {row.key!r} was never sealed")
            try:
                require_balanced(self._written(row.key) or ())
            except IntegrityError as error:
                raise IntegrityError(f"posting set {row.key!r}: {error.message}") from error
        return len(sets)

    def _written(self, key: str) -> tuple[Posting, ...] | None:
        set_id = self._connection.execute(
            select(tables.posting_sets.c.id).where(tables.posting_sets.c.key == key)
        ).scalar()
        if set_id is None:
            return None
        rows = self._connection.execute(
            select(tables.postings)
            .where(tables.postings.c.set_id == set_id)
            .order_by(tables.postings.c.line)
        )
        return tuple(Posting(row.account, row.minor, row.currency) for row in rows)


def _sums(postings: Sequence[Posting]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for posting in postings:
        sums[posting.currency] += posting.minor
    return sums
