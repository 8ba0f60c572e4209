"""What the console asks about conduct cases; `app` answers from the book."""

from typing import Protocol

import msgspec

from quartermaster.commands.actor import Actor
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases_shown import CaseSummary, OwnCase
from quartermaster.console.format import Lang
from quartermaster.kernel.case import MoveAsked
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.money import Money


class Queue(msgspec.Struct, frozen=True):
    """All cases, the newest first, and the sample where the console shows samples."""

    lines: tuple[CaseSummary, ...]
    names: dict[str, str]
    """Of groups by id."""
    sample: CaseSummary | None = None
    automatic: Money | None = None
    """Revenue a year up to which a suspension may be automatic; None where none may be."""
    review_hours: int = 0
    """Until a person must have confirmed it."""


class CaseBook(Protocol):
    """Cases, and the steps that a signed-in user may take. Calls may block."""

    def queue(self, now: Instant) -> Queue:
        """Every case in a line."""

    def file(self, case_id: str, now: Instant, lang: Lang) -> CaseFile:
        """One case with everything, a sample in the reader's language; writes nothing.

        Raises:
            NotFoundError: there is no such case.
        """

    def made(self, actor: Actor, case_id: str, now: Instant, lang: Lang) -> CaseFile:
        """The same as a file that the journal remembers; a sample's is not remembered.

        Raises:
            NotAllowedError, NotFoundError: see `commands.case`.
        """

    def printed(self, page: str) -> bytes:
        """A page of ours as PDF.

        Raises:
            UnavailableError: nothing on this machine prints one.
        """

    def move(self, actor: Actor, case_id: str, asked: MoveAsked, now: Instant) -> None:
        """Make a move or propose it; errors as of `commands.case.move`."""

    def sign(self, actor: Actor, case_id: str, proposal: int, now: Instant) -> None:
        """Sign a proposed move, as the second person; `proposal` is what the page showed."""

    def withdraw(self, actor: Actor, case_id: str, reason: str, now: Instant) -> None:
        """Take the proposed move back."""

    def decide(
        self, actor: Actor, case_id: str, reason: str, now: Instant, *, granted: bool
    ) -> None:
        """Decide the appeal."""

    def note(self, actor: Actor, case_id: str, text: str, now: Instant) -> None:
        """Write something down."""

    def own(self, customer: str, now: Instant) -> tuple[OwnCase, ...]:
        """The cases that a customer was told of."""

    def answer(
        self, actor: Actor, case_id: str, text: str, share_high: float | None, now: Instant
    ) -> None:
        """The customer's answer; whose it is follows from the actor's session."""

    def appeal(self, actor: Actor, case_id: str, text: str, now: Instant) -> None:
        """The customer's appeal."""
