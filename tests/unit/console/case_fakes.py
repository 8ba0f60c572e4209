"""A book of cases that holds the sample under every id, and takes every step without a word."""

from quartermaster.app.case_sample import sample_file
from quartermaster.commands.actor import Actor
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases_shown import OwnCase
from quartermaster.console.format import Lang
from quartermaster.console.ports_cases import Queue
from quartermaster.kernel.case import MoveAsked
from quartermaster.kernel.clock import Instant


class FakeCases:
    def queue(self, now: Instant) -> Queue:
        return Queue((), {}, sample_file().case.summary)

    def file(self, case_id: str, now: Instant, lang: Lang) -> CaseFile:
        return sample_file(lang)

    def made(self, actor: Actor, case_id: str, now: Instant, lang: Lang) -> CaseFile:
        return sample_file(lang)

    def printed(self, page: str) -> bytes:
        return b"%PDF-"

    def move(self, actor: Actor, case_id: str, asked: MoveAsked, now: Instant) -> None: ...

    def sign(self, actor: Actor, case_id: str, proposal: int, now: Instant) -> None: ...

    def withdraw(self, actor: Actor, case_id: str, reason: str, now: Instant) -> None: ...

    def decide(
        self, actor: Actor, case_id: str, reason: str, now: Instant, *, granted: bool
    ) -> None: ...

    def note(self, actor: Actor, case_id: str, text: str, now: Instant) -> None: ...

    def own(self, customer: str, now: Instant) -> tuple[OwnCase, ...]:
        return ()

    def answer(
        self, actor: Actor, case_id: str, text: str, share_high: float | None, now: Instant
    ) -> None: ...

    def appeal(self, actor: Actor, case_id: str, text: str, now: Instant) -> None: ...
