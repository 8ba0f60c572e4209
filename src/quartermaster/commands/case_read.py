"""Conduct cases as the journal tells them: by id, all of them, and the addressed customer's."""

from collections.abc import Sequence

import msgspec

from quartermaster.book.chain import Entry, recorded
from quartermaster.book.unit import Unit
from quartermaster.book.views import View
from quartermaster.commands.case_party import addressee
from quartermaster.commands.ports import Book
from quartermaster.conduct.cases import Case, Step, fold
from quartermaster.kernel.case import CreditRedeemed
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.events import CaseStepped

KEY = "case:"
"""What the keys of all steps begin with; the case and the number of the step follow."""


def read(book: Book, case_id: str) -> Case:
    """A case with all its steps.

    Raises:
        NotFoundError: there is no such case.
    """
    with book.reading() as unit:
        return known(unit, case_id)


def read_own(book: Book, customer: str, case_id: str) -> Case:
    """A case as its customer may know it: that there is one is known once a notice was sent.

    Raises:
        NotFoundError: no such case of this customer.
    """
    with book.reading() as unit:
        return own(unit.view(), known(unit, case_id), customer)


def entries(unit: Unit, case_id: str) -> list[Entry]:
    """The journal's entries of a case, with their hashes, within a transaction."""
    return unit.journal.keyed_entries(f"{KEY}{case_id}:")


def all_cases(book: Book) -> list[Case]:
    """Every case, the newest first."""
    with book.reading() as unit:
        return folded(unit)


def own_cases(book: Book, customer: str) -> list[Case]:
    """The cases that a customer was told of, the newest first."""
    with book.reading() as unit:
        view = unit.view()
        return [case for case in folded(unit) if _is_own(view, case, customer)]


def known(unit: Unit, case_id: str) -> Case:
    """A case within a transaction.

    Raises:
        NotFoundError: there is no such case.
    """
    case = _of(case_id, unit.journal.keyed_entries(f"{KEY}{case_id}:"))
    if case is None:
        raise _unknown(case_id)
    return _redeemed(unit.view(), case)


def folded(unit: Unit) -> list[Case]:
    """Every case within a transaction, the newest first."""
    found: dict[str, list[Entry]] = {}
    for entry in unit.journal.keyed_entries(KEY):
        assert entry.key is not None, "read by key"
        found.setdefault(entry.key.split(":")[1], []).append(entry)
    cases = (_of(case_id, held) for case_id, held in found.items())
    newest = sorted((one for one in cases if one is not None), key=lambda one: one.history[0].seq)
    view = unit.view()
    return [_redeemed(view, case) for case in newest[::-1]]


def own(view: View, case: Case, customer: str) -> Case:
    """The case, where it is the customer's and the customer was told of it.

    Raises:
        NotFoundError: another customer's case is as unknown as one that was never opened.
    """
    if not _is_own(view, case, customer):
        raise _unknown(case.id)
    return case


def _redeemed(view: View, case: Case) -> Case:
    """With what recorded drafts took off for its credits."""
    if not case.credits:
        return case
    found = tuple(
        CreditRedeemed(draft.contract, draft.period, used.minor, draft.currency)
        for _, draft in sorted(view.drafts.items())
        for used in draft.credits
        if used.case == case.id
    )
    return msgspec.structs.replace(case, redeemed=found)


def _unknown(case_id: str) -> NotFoundError:
    """In the same words whether there is none, or one that is nobody's business."""
    return NotFoundError(f"there is no case {case_id!r}", field="case")


def _is_own(view: View, case: Case, customer: str) -> bool:
    return bool(customer) and customer == addressee(view, case) and bool(case.told())


def _of(case_id: str, found: Sequence[Entry]) -> Case | None:
    return fold(case_id, (step for step in map(_step, found) if step is not None))


def _step(entry: Entry) -> Step | None:
    fact = recorded(entry).fact
    if not isinstance(fact, CaseStepped):
        return None
    return Step(fact.number, entry.at, entry.actor, fact.event, entry.seq)
