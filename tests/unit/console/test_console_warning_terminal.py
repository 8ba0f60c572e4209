"""`warn`, `backtest` and `statements` in German, and our own record out of the journal."""

import json
import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from quartermaster.app.clerk_warning import RESOLVED, STATED
from quartermaster.app.rooms import Rooms
from quartermaster.cli.main import run
from quartermaster.commands.actor import CLERK
from quartermaster.config import Settings
from quartermaster.kernel.events import CustomerStated, ProbabilitiesStated, StatementsResolved


@pytest.fixture(scope="module")
def panel_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty tenants for 460 days; some fade, the first within the last seven weeks."""
    draw, lines = random.Random(3), ["tenant,date,amount"]
    for tenant in range(40):
        end = 411 if tenant == 0 else draw.randrange(150, 1_000)
        for day in range(460):
            left = min(1.0, max(0.0, (end + 50 - day) / 50))
            if left:
                amount = draw.lognormvariate(6 if tenant == 0 else 3, 0.2) * left
                lines.append(f"t{tenant:02d},{date(2023, 1, 1) + timedelta(day)},{amount:.3f}")
    path = tmp_path_factory.mktemp("panel") / "usage.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_warn_speaks_german(panel_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["warn", str(panel_csv), "--top", "1", "--lang", "de"]) == 0
    text = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")
    assert text.startswith("Stand 04.04.2024, ")
    assert "Mandanten mit Nutzung in den letzten 13 Wochen" in text
    assert "fielen" in text
    assert "je Mandant und Jahr gesetzt" in text
    assert "t00: " in text
    assert "der Nutzung" in text
    assert "die Höhe wechselte in der Woche ab 15.03.2024, " in text
    assert "(erhöht das Risiko)" in text
    assert not {"alarm ", "risk", "usage"} & set(text.split())
    assert run(["warn", str(panel_csv), "--top", "1"]) == 0
    english = capsys.readouterr().out
    assert english.count("\n") == text.count("\n")
    assert "% of usage" in english


def test_a_short_panel_in_german(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "short.csv"
    days = (date(2024, 1, 1) + timedelta(day) for day in range(20))
    path.write_text("tenant,date,amount\n" + "".join(f"a,{day},1\n" for day in days))
    assert run(["warn", str(path), "--lang", "de"]) == 0
    text = capsys.readouterr().out
    assert "keine Wahrscheinlichkeit: zu wenig Vorgeschichte" in text
    assert "Tage Vorgeschichte" in text


def test_backtest_speaks_german(panel_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", str(panel_csv), "--lang", "de"]) == 0
    text = capsys.readouterr().out
    assert "40 Mandanten, 65 Wochen" in text
    assert "Verfahren" in text
    assert "pooled hazard" in text  # names of methods are the field's own
    assert "0," in text


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    rooms = Rooms(Settings(var=str(tmp_path)))
    for back, settled in ((200, True), (100, True), (1, False)):
        on = (date(2026, 1, 1) - timedelta(days=back)).isoformat()
        said = tuple(CustomerStated(f"c{n}", 0.1 + n / 100, 5.0) for n in range(20))
        fact = ProbabilitiesStated(event="halved_in_a_quarter", on=on, customers=said, cut={})
        rooms.book.append(fact, actor=CLERK, now=rooms.now(), key=f"{STATED}{fact.event}:{on}")
        if settled:
            names = [one.customer for one in said]
            outcome = StatementsResolved(
                event=fact.event,
                on=on,
                resolved_on="2025-12-31",
                came=tuple(names[:4]),
                stayed=tuple(names[4:]),
            )
            key = f"{RESOLVED}{fact.event}:{on}"
            rooms.book.append(outcome, actor=CLERK, now=rooms.now(), key=key)
    rooms.book.close()
    return tmp_path


def test_our_own_record_is_scored_out_of_the_journal(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--var", str(recorded), "statements"]) == 0
    text = capsys.readouterr().out
    assert "40 of 60 statements have come to term, and 8 came true." in text
    assert "too few" not in text
    assert "Base rate" in text
    assert run(["--var", str(recorded), "statements", "--lang", "de"]) == 0
    assert "40 von 60 Aussagen sind fällig geworden" in capsys.readouterr().out
    assert run(["--var", str(recorded), "statements", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert [row["statements"] for row in body["scores"]] == [40, 40]
    assert len(body["statements"]) == 60


def test_nothing_stated_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--var", str(tmp_path), "statements", "--lang", "de"]) == 0
    assert "noch ist nichts gesagt worden" in capsys.readouterr().out
    assert run(["--var", str(tmp_path), "statements", "--svg", str(tmp_path / "a.svg")]) == 2
    assert "--svg needs a FILE" in capsys.readouterr().err
