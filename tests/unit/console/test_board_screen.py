"""The board report's page in the console: to read, to print, to save; by who may see it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.unit.console.console_fakes import NOW, FakeIdentity, FakeLive, FakeOverview
from tests.unit.console.exposure_fakes import FakeExposure

from quartermaster.app.board import assumed_of, facts_of, shown_revenue
from quartermaster.app.console_book import sample_shown
from quartermaster.console.board_facts import BoardFacts
from quartermaster.console.board_page import page
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings
from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.kernel.clock import as_datetime

TODAY = as_datetime(NOW).date()


@dataclass
class FakeBoard:
    """The sample's report; remembers what was asked and printed."""

    facts: BoardFacts | None
    waited: list[bool] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def board(self, made_on: date, *, wait: bool = False) -> BoardFacts | None:
        self.waited.append(wait)
        assert made_on == TODAY
        return self.facts

    def printed(self, page: str) -> bytes:
        self.pages.append(page)
        return b"%PDF-1.4 of this page"


@pytest.fixture(scope="module")
def facts() -> BoardFacts:
    assumed = assumed_of(Assumptions(), chosen=False, sample=True)
    return facts_of(shown_revenue(sample_shown()), assumed, made_on=TODAY, threads=1)


@pytest.fixture
def board(facts: BoardFacts) -> FakeBoard:
    return FakeBoard(facts)


@pytest.fixture
def console(
    identity: FakeIdentity,
    overview: FakeOverview,
    live: FakeLive,
    exposure: FakeExposure,
    board: FakeBoard,
) -> Starlette:
    return build(ConsoleSettings(), identity, overview, live, exposure, lambda: NOW, board=board)


def test_the_page_is_the_report_with_its_ways_to_save_it(
    viewer: TestClient, board: FakeBoard
) -> None:
    answer = viewer.get("/report")
    assert answer.status_code == 200
    assert board.waited == [False]
    html = answer.text
    assert "ByteDance is 24.0% of the revenue of Azure OpenAI" in html
    assert "Sample data, not anybody" in html
    assert 'href="/report?format=pdf&amp;lang=en"' in html
    assert 'href="/report?format=html&amp;lang=en"' in html
    # The console allows no styles inside a page: the report's sheet is part of its own.
    assert "<style" not in html


def test_it_is_read_in_german(viewer: TestClient) -> None:
    html = viewer.get("/report?lang=de").text
    assert "Kundenkonzentration: Bericht für Vorstand und Aufsichtsrat" in html
    assert "24,0\N{NO-BREAK SPACE}% des Umsatzes" in html


def test_the_saved_page_is_the_one_of_the_command_line(
    viewer: TestClient, board: FakeBoard, facts: BoardFacts
) -> None:
    answer = viewer.get("/report?format=html&lang=de")
    assert answer.text == page(facts, "de")
    assert board.waited == [True]
    saved = f'attachment; filename="board-report-{TODAY.isoformat()}-de.html"'
    assert answer.headers["content-disposition"] == saved


def test_the_pdf_is_printed_from_that_page(
    viewer: TestClient, board: FakeBoard, facts: BoardFacts
) -> None:
    answer = viewer.get("/report?format=pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content == b"%PDF-1.4 of this page"
    assert board.pages == [page(facts, "en")]
    assert answer.headers["content-disposition"].endswith('-en.pdf"')


def test_programs_get_json(viewer: TestClient) -> None:
    document = viewer.get("/report?format=json").json()
    assert document["schema"] == "quartermaster.board/1"
    assert document["sample"] is True


def test_while_the_simulation_loads_the_page_asks_again(
    viewer: TestClient, board: FakeBoard, facts: BoardFacts
) -> None:
    board.facts = replace(facts, risk=None, levers=None, bridge=None, risk_missing="loading")
    answer = viewer.get("/report")
    assert int(answer.headers["refresh"]) > 0
    assert "being loaded" in answer.text


@pytest.mark.parametrize("wanted", ["page", "html", "pdf"])
def test_without_revenue_there_are_words(viewer: TestClient, board: FakeBoard, wanted: str) -> None:
    board.facts = None
    answer = viewer.get(f"/report?format={wanted}")
    assert answer.status_code == 200
    assert "There is no revenue yet" in answer.text


def test_another_format_is_refused(viewer: TestClient) -> None:
    assert viewer.get("/report?format=docx").status_code == 400


def test_it_is_for_staff(
    stranger: TestClient, signed_in: Callable[..., TestClient], board: FakeBoard
) -> None:
    assert stranger.get("/report").status_code == 303
    assert signed_in("customer").get("/report").status_code == 403
    assert board.waited == []
