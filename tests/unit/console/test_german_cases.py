"""No English sentence on a German page of cases, in a German case file, notice or portal."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from tests.unit.conduct.case_made_up import SMALL
from tests.unit.console.console_fakes import NOW
from tests.unit.console.test_console_cases import World

from quartermaster.app.case_sample import sample_file
from quartermaster.commands import case as cases
from quartermaster.commands.actor import CLERK, Actor
from quartermaster.conduct import blind
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_step import REFUSALS
from quartermaster.conduct.detectors import Kind
from quartermaster.conduct.features import NAMES
from quartermaster.console.board_page import page_of
from quartermaster.console.case_refusals import why
from quartermaster.console.case_report import view_of
from quartermaster.kernel.case import (
    CaseEvidence,
    CaseFinding,
    CaseLink,
    CaseReason,
    FindingStatus,
    MoveAsked,
    StakeElsewhere,
)
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.errors import CallerError
from quartermaster.kernel.events import ConductAlarmed

ENGLISH = re.compile(
    r"\b(?:the|of|and|is|are|were|by|with|not|from|for|its|this|that|has|had|have|nobody|somebody|"
    r"day|days|account|requests|give|needs|only|without|which|who|cannot|does|their|line)\b",
    re.IGNORECASE,
)
QUOTED = re.compile(r"quartermaster [a-z ]+|<(script|style)\b.*?</\1>|<code>.*?</code>", re.DOTALL)
WHY = "Wozu dient das?"
ADA, BUYER = Actor("usr_ada", ("trust",)), Actor("usr_buyer", ("customer",), "acme")
SEVERAL = msgspec.structs.replace(
    SMALL,
    others=(StakeElsewhere("EUR", 24_000_000, 10),),
    months=("2024-01", "2024-10"),
    leaves_anyway=0.2,
    leaves_stated_on="2024-10-13",
    churn_setting=0.3,
    churn_left=1,
    churn_of=2,
    harvest_measured=True,
)
"""With every source that a figure of the cost can have; `SMALL` has none of them."""
RULES = cases.Rules(settings=CaseSettings(), sign_off_share=Decimal("0.1"))


def english(page: str) -> set[str]:
    """Sentences with English words in what a reader of the page reads."""
    text = re.sub(r"<[^>]+>", "\n", QUOTED.sub(" ", page))
    return {line.strip() for line in text.splitlines() if ENGLISH.search(line)}


def main_of(page: str) -> str:
    found = re.search(r"<main\b.*</main>", page, re.DOTALL)
    assert found is not None
    return found[0]


def rich() -> CaseEvidence:
    """The sample's evidence with every finding, link, feature and blind spot there is."""
    known = sample_file("de").case.evidence
    statuses: tuple[FindingStatus, ...] = get_args(FindingStatus)
    findings = tuple(
        CaseFinding(kind, 0.5, 0.5, statuses[at % len(statuses)], kind == "model_pivot")
        for at, kind in enumerate(get_args(Kind))
    )
    links = (
        CaseLink("acme", "b", 0.001, ("1 payments in common", "2 networks in common")),
        CaseLink("acme", "c", 0.001, ("3 keys in common", "1 clients in common")),
        CaseLink("acme", "d", 0.001, ("awake at the same half-hours (correlation 0.93)",)),
    )
    cluster = msgspec.structs.replace(
        known.clusters[0], reasons=tuple(CaseReason(name, 0.5) for name in NAMES)
    )
    return msgspec.structs.replace(
        known,
        findings=findings,
        links=links,
        clusters=(cluster,),
        source="daily analysis",
        source_sha256="",
        blind=(*(f"{code}:12" for code in blind.WORDS), "meter: no token counts",
               "text: 12.5% of the requests are in the sample",
               "public corpora: no registry, or no hit in it"),
    )  # fmt: skip


class German(World):
    """A console whose readers all read German, with a case that began by an alarm."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        alarm = ConductAlarmed(group="acme", account="acme", on="2026-11-22", evidence=rich())
        self.rooms.book.append(alarm, actor=CLERK, now=self.now(), key="conduct:alarmed:acme:1")
        (case,) = cases.tend(
            self.rooms.book, self.now(), lambda _: RULES, lambda *_: SEVERAL
        )  # fmt: skip
        self.case = case.id

    def now(self) -> Instant:
        return NOW

    def page(self, who: str, path: str) -> str:
        return main_of(self.who(who).get(f"{path}?lang=de").text)

    def move(self, who: str, move: str, **form: str) -> None:
        data = {"move": move, "reason": WHY, **form}
        assert self.who(who).post(f"/cases/{self.case}/steps", data=data).status_code == 303

    def everything(self) -> Iterator[str]:
        yield self.page("ada", "/cases")
        yield self.page("ada", f"/cases/{self.case}")
        yield self.page("eve", f"/cases/{self.case}")
        yield self.page("buyer", "/account/cases")
        file = self.who("ada").post(f"/cases/{self.case}/file?lang=de", data={"format": "html"})
        yield file.text


@pytest.fixture
def world(tmp_path: Path) -> Iterator[German]:
    world = German(tmp_path)
    yield world
    world.rooms.book.close()


def signed(world: German) -> None:
    case = world.case
    page = world.page("bob", f"/cases/{case}")
    found = re.search(r'name="proposal" value="(\d+)"', page)
    assert found is not None
    data = {"proposal": found[1]}
    assert world.who("bob").post(f"/cases/{case}/signature", data=data).status_code == 303


def test_every_state_reads_german(world: German) -> None:
    case, buyer = world.case, world.who("buyer")
    seen = 0
    slice_ = {"models": "m", "requests_per_minute": "6", "urgent": "1"}

    def check() -> None:
        nonlocal seen
        for page in world.everything():
            assert english(page) == set()
            seen += 1

    check()
    world.move("ada", "inform")
    check()
    world.move("ada", "throttle", **slice_)
    check()
    signed(world)
    answer = {"text": "Eigene Versuche.", "share": "2,5"}
    assert buyer.post(f"/account/cases/{case}/answers", data=answer).status_code == 303
    check()
    world.move("ada", "suspend")
    signed(world)
    appeal = {"text": "Sie irren sich."}
    assert buyer.post(f"/account/cases/{case}/appeals", data=appeal).status_code == 303
    check()
    refuse = {"reason": WHY, "decision": "refuse", "confirmed": "1"}
    assert world.who("cy").post(f"/cases/{case}/appeal-decision", data=refuse).status_code == 303
    world.move("ada", "investigate")
    check()
    buyer.post(f"/account/cases/{case}/answers", data=answer)
    world.move("ada", "terminate")
    signed(world)
    check()
    world.move("ada", "reinstate")
    check()
    assert seen == 8 * 5


def test_the_sample_reads_german(world: German) -> None:
    assert english(world.page("ada", "/cases/sample")) == set()
    assert english(world.page("ada", "/tour")) == set()
    page = page_of(view_of(sample_file("de"), "de"))
    assert english(page) == set()
    assert re.findall(r": \d+\.\d+%", page) == []
    assert english(main_of(world.who("ada").get("/cases/sample?lang=en").text))


def test_what_is_automatic_is_said(world: German, tmp_path: Path) -> None:
    assert "Jede Mitteilung, Drosselung und Sperre entscheidet ein Mensch" in world.page(
        "ada", "/cases"
    )
    settings = CaseSettings(automatic_suspend_minor_max=1_000_000, review_hours=12)
    world.rooms.settings = msgspec.structs.replace(world.rooms.settings, cases=settings)
    page = world.page("ada", "/cases")
    assert "Von selbst gesperrt wird, wer höchstens 10.000,00" in page
    assert "binnen 12 Stunden" in page
    assert english(page) == set()


def test_what_is_automatic_reads_german_from_beginning_to_end(world: German) -> None:
    book, at = world.rooms.book, world.now()
    cases.move(book, ADA, world.case, MoveAsked(move="dismiss", reason=WHY), at, RULES)
    settings = CaseSettings(automatic_suspend_minor_max=10_000_000)
    rules = msgspec.structs.replace(RULES, settings=settings)
    alarm = ConductAlarmed(group="acme", account="acme", on="2026-11-23", evidence=rich())
    book.append(alarm, actor=CLERK, now=Instant(at + 1), key="conduct:alarmed:acme:2")
    (case,) = cases.tend(book, Instant(at + 2), lambda _: rules, lambda *_: SMALL)
    assert case.standing == "suspended"
    world.case = case.id
    for page in world.everything():
        assert english(page) == set()
    cases.appeal(book, BUYER, "acme", case.id, "Sie irren sich.", Instant(at + 3), rules)
    later = Instant(at + 48 * US_PER_HOUR)
    (lapsed,) = cases.tend(book, later, lambda _: rules, lambda *_: SMALL)
    assert lapsed.state == "reinstated"
    for page in world.everything():
        assert english(page) == set()


def test_currencies_stand_beside_each_other_and_each_figure_says_where_it_is_from(
    world: German,
) -> None:
    page = world.page("ada", f"/cases/{world.case}")
    for words in (
        "Beträge werden nie addiert", "Sperren, USD", "Sperren, EUR", "hängt vom Kurs ab",
        "aus den Monaten Jan 2024 bis Okt 2024", "so sagte es die Frühwarnung am 13.10.2024",
        "Gezählt: 1 von 2 wieder freigegebenen Kunden",
    ):  # fmt: skip
        assert words in page.replace("\N{NO-BREAK SPACE}", " "), words
    english_page = main_of(world.who("ada").get(f"/cases/{world.case}?lang=en").text)
    assert "open: hangs on the rate" in english_page


def test_what_is_refused_is_refused_in_german(world: German) -> None:
    case, ada, buyer = world.case, world.who("ada"), world.who("buyer")
    steps, answers = f"/cases/{case}/steps?lang=de", f"/account/cases/{case}/answers?lang=de"
    asked = [
        ({"move": "inform", "reason": ""}, "Dieser Text lässt sich nicht verwenden"),
        ({"move": "terminate", "reason": WHY}, "Beenden folgt nicht auf diesen Stand"),
        ({"move": "throttle", "reason": WHY, "urgent": "1"}, "Nennen Sie den Teil"),
        ({"move": "throttle", "reason": WHY, "urgent": "1", "requests_per_minute": "viele"},
         "Anfragen je Minute, die noch durchlaufen: „viele“ ist keine ganze Zahl; geben Sie"),
    ]  # fmt: skip
    for form, words in asked:
        refused = ada.post(steps, data=form)
        assert refused.status_code in (400, 409)
        assert words in refused.text
        assert english(main_of(refused.text)) == set()
    world.move("ada", "inform")
    urgent = {"move": "throttle", "reason": WHY, "urgent": "1", "requests_per_minute": "1"}
    nobody = ada.post(steps, data={**urgent, "keys": "key_of_nobody"})
    assert "Der Kunde hat keinen Schlüssel key_of_nobody" in nobody.text
    assert english(main_of(nobody.text)) == set()
    wrong = buyer.post(answers, data={"text": "Eigene Versuche.", "share": "viel"})
    assert "Nennen Sie den Anteil in Prozent" in wrong.text
    assert english(main_of(wrong.text)) == set()


def test_every_refusal_has_german_words() -> None:
    for said, _ in REFUSALS.values():
        assert why(CallerError(said), "de") != why(CallerError(said), "en")
    assert why(CallerError("something else", hint="look"), "de") == "something else. look"
