"""Conduct cases for the console: the book's own, and the sample where samples are shown."""

from quartermaster.app import case_desk, case_files, case_sample, pdf
from quartermaster.app.api import OwnGateways
from quartermaster.app.rooms import Rooms
from quartermaster.commands import case as cases
from quartermaster.commands import case_read as reading
from quartermaster.commands.actor import Actor
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases_shown import OwnCase, own, summary
from quartermaster.console.format import Lang
from quartermaster.console.ports_cases import Queue
from quartermaster.kernel.case import Answered, AppealDecided, CaseStatement, MoveAsked, Noted
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import NotFoundError
from quartermaster.kernel.money import Money


class RealCases:
    """The cases of this data folder.

    Args:
        rooms: book, settings and gateways.
        sample: whether the sample case is shown beside them.
    """

    def __init__(self, rooms: Rooms, *, sample: bool) -> None:
        self._rooms, self._sample = rooms, sample
        self._gateways = OwnGateways(rooms)

    def queue(self, now: Instant) -> Queue:
        """Every case in a line."""
        book = self._rooms.book
        names = {group.id: group.name for group in book.view().groups.values()}
        lines = tuple(summary(case, now) for case in reading.all_cases(book))
        shown = case_sample.sample_file().case.summary if self._sample else None
        set_ = self._rooms.settings.cases
        limit = Money(set_.automatic_suspend_minor_max, set_.automatic_suspend_currency)
        return Queue(lines, names, shown, limit if limit.minor else None, set_.review_hours)

    def file(self, case_id: str, now: Instant, lang: Lang) -> CaseFile:
        """One case with everything; writes nothing."""
        if case_id == case_sample.SAMPLE_ID and self._sample:
            return case_sample.sample_file(lang)
        return case_files.case_file(self._rooms, case_id, now)

    def made(self, actor: Actor, case_id: str, now: Instant, lang: Lang) -> CaseFile:
        """The same as a file that the journal remembers; a sample's is not remembered."""
        file = self.file(case_id, now, lang)
        if not file.case.summary.sample:
            case_files.recorded(self._rooms, actor, file, now)
        return file

    def printed(self, page: str) -> bytes:
        """A page of ours as PDF."""
        return pdf.printed(page)

    def move(self, actor: Actor, case_id: str, asked: MoveAsked, now: Instant) -> None:
        """Make a move or propose it."""
        book = self._rooms.book
        cases.move(book, actor, case_id, asked, now, self._rules(case_id))
        self._gateways.publish(now)

    def sign(self, actor: Actor, case_id: str, proposal: int, now: Instant) -> None:
        """Sign the proposed move, as the second person."""
        cases.sign(self._rooms.book, actor, case_id, proposal, now, self._rules(case_id))
        self._gateways.publish(now)

    def withdraw(self, actor: Actor, case_id: str, reason: str, now: Instant) -> None:
        """Take the proposed move back."""
        cases.withdraw(self._rooms.book, actor, case_id, reason, now)

    def decide(
        self, actor: Actor, case_id: str, reason: str, now: Instant, *, granted: bool
    ) -> None:
        """Decide the appeal."""
        decision, rules = AppealDecided(granted=granted, reason=reason), self._rules(case_id)
        cases.decide(self._rooms.book, actor, case_id, decision, now, rules)
        self._gateways.publish(now)

    def note(self, actor: Actor, case_id: str, text: str, now: Instant) -> None:
        """Write something down."""
        cases.tell(self._rooms.book, actor, case_id, Noted(text), now)

    def own(self, customer: str, now: Instant) -> tuple[OwnCase, ...]:
        """The cases that a customer was told of."""
        found = reading.own_cases(self._rooms.book, customer)
        return tuple(own(case, now, customer) for case in found)

    def answer(
        self, actor: Actor, case_id: str, text: str, share_high: float | None, now: Instant
    ) -> None:
        """The customer's answer; whose it is follows from the actor's session."""
        said = None
        if share_high is not None:
            said = CaseStatement(text=text, said_by=actor.customer, high=share_high)
        answered = Answered(text=text, statement=said)
        cases.answer(self._rooms.book, actor, actor.customer, case_id, answered, now)

    def appeal(self, actor: Actor, case_id: str, text: str, now: Instant) -> None:
        """The customer's appeal."""
        rules = case_desk.rules(self._rooms)
        cases.appeal(self._rooms.book, actor, actor.customer, case_id, text, now, rules)

    def _rules(self, case_id: str) -> cases.Rules:
        if case_id == case_sample.SAMPLE_ID:
            raise NotFoundError("the sample case takes no steps")
        return case_desk.rules(self._rooms, reading.read(self._rooms.book, case_id).group)
