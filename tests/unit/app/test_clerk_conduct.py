"""The daily analysis: a campaign is found and recorded, others are not, and no text is kept."""

import random
import tracemalloc
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.app.conduct_world import ALPHA, CANARY, World, harvest, support

from quartermaster.app import case_desk, clerk_conduct, clerk_warning
from quartermaster.app.watch import days_folder
from quartermaster.cli.main import cli
from quartermaster.commands import case as cases
from quartermaster.conduct import blind, facts
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.extent import extent
from quartermaster.conduct.facts import KEEP_DAYS, forget_before
from quartermaster.conduct.sketch import SAMPLE
from quartermaster.kernel import ring
from quartermaster.kernel.case import MoveAsked
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.events import ConductAlarmed, ConductObserved
from quartermaster.kernel.limit import Limits, Throttle

pytestmark = pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here")
TENANTS = [f"shop-{number:02}" for number in range(20)]
RULES = cases.Rules(settings=CaseSettings(), sign_off_share=Decimal("0.05"))
ASKING = TENANTS[:4]
"""The others rest in these days, and are ranked among by their last score."""
JUDGED_DAYS = 16
"""Days that only the journal remembers: enough that evidence may begin."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three ordinary days, then five of a campaign that hides among ordinary requests."""
    found = World(tmp_path_factory.mktemp("conduct") / "var", [*TENANTS, "rival"], ["quiet"])
    draw = random.Random(5)
    try:
        for day in range(-JUDGED_DAYS, 0):
            found.judged_before(day, {n: draw.uniform(-2, 1) for n in (*TENANTS, "rival")})
        for day in range(8):
            bodies = {name: support(at, day, 20) for at, name in enumerate(ASKING)}
            bodies["rival"] = support(30, day, 20)
            if day >= 3:
                bodies["rival"] = support(30, day, 14) + harvest(day, 8)
            bodies["quiet"] = support(31, day, 5)
            found.live(day, bodies)
        yield found
    finally:
        found.close()


def observed(world: World) -> list[ConductObserved]:
    facts = [entry.fact for entry in world.rooms.book.keyed(clerk_conduct.OBSERVED)]
    return [fact for fact in facts if isinstance(fact, ConductObserved)]


def alarms(world: World) -> list[ConductAlarmed]:
    return clerk_warning.alarmed(world.rooms)


def test_the_campaign_is_alarmed_on_once_and_nobody_else_is(world: World) -> None:
    (alarm,) = alarms(world)
    assert (alarm.account, alarm.group) == ("rival", "rival")
    assert "2026-11-19" <= alarm.on <= "2026-11-22"


def test_the_alarm_says_what_it_stands_on(world: World) -> None:
    (alarm,) = alarms(world)
    found = alarm.evidence
    assert [one.kind for one in found.actionable][:1] == ["meta_generation"]
    (cluster,) = found.clusters
    assert 8 <= cluster.requests <= 12
    assert sum(cluster.cells) >= 8
    assert cluster.reasons
    last = found.days[-1]
    assert last.evidence is not None
    assert last.evidence >= 1 / ALPHA
    assert last.over_line
    assert last.day == alarm.on
    assert len(found.ordinary) >= 19
    assert (found.alpha, found.source) == (ALPHA, "daily analysis")
    assert len(found.neighbours) == 3


def test_the_extent_follows_in_requests_and_in_tokens(world: World) -> None:
    (alarm,) = alarms(world)
    strata = alarm.evidence.strata
    assert [(one.requests, one.read) for one in strata[:4]] == [(20, 20)] * 3 + [(22, 22)]
    assert [one.hits for one in strata[:3]] == [0, 0, 0]
    # Every answer of this meter has fifty tokens.
    assert all(one.parts["output_tokens"].hit == 50 * one.hits for one in strata)
    (cluster,) = extent(strata)
    requests, tokens = cluster.measures
    asked = 8 * (len(strata) - 3)
    assert asked <= requests.amount.point <= 1.5 * asked
    assert (tokens.name, tokens.total) == ("output_tokens", 50 * requests.total)
    assert tokens.share.point == pytest.approx(requests.share.point)


def test_what_a_throttle_would_let_pass_is_counted_on_the_last_days(world: World) -> None:
    passes = case_desk.rules(world.rooms, "rival").passes
    assert passes is not None
    (alarm,) = alarms(world)
    days = [one.requests for one in alarm.evidence.days if one.day >= "2026-11-15"]
    assert sum(days) > 100
    all_of_it = passes(Throttle(models=("toy",), limits=Limits(requests_per_minute=1_000)))
    assert (all_of_it, passes(Throttle(models=("toy",)))) == (1.0, 0.0)
    assert passes(Throttle(models=("another",))) == 1.0
    # Every day's twenty requests of a customer fall into few hours.
    few = passes(Throttle(models=("toy",), limits=Limits(tokens_per_minute=1)))
    assert few is not None
    assert few < 0.1


def test_every_day_of_every_account_is_in_the_journal(world: World) -> None:
    days = observed(world)[JUDGED_DAYS:]
    assert [len(one.days) for one in days] == [0, 0, *[5] * 6]
    assert days[0].blind["rival"] == ("past_short:0",)
    assert days[-1].cut == {"gateway-0": 8}
    last = {one.account: one for one in days[-1].days}
    assert last["rival"].requests == 22
    assert last["rival"].sampled_fraction == 1
    assert last["rival"].models == {"toy": 22}
    assert max(one.evidence or 0 for name, one in last.items() if name != "rival") < 2
    world.rooms.book.verify()


def test_who_does_not_consent_is_judged_by_the_meter_and_said_to_be_unseen(world: World) -> None:
    for day in observed(world)[JUDGED_DAYS:]:
        assert day.blind["quiet"] == ("no_consent", "output_ratio:0.50")
        assert "quiet" not in {one.account for one in day.days}


def test_a_consenting_account_that_nobody_could_read_is_said_to_be_unseen(tmp_path: Path) -> None:
    world = World(tmp_path / "var", ["pictures", "absent"])
    try:
        silent = b'{"model":"toy","messages":[{"role":"user","content":[{"type":"image_url"}]}]}'
        world.consenting = frozenset({"pictures"})  # of the other, no watcher saw anything
        seen = world.live(0, {"pictures": [silent] * 3, "absent": support(1, 0, 3)})
    finally:
        world.close()
    assert seen.days == ()
    assert seen.blind == {
        "absent": ("no_text", "output_ratio:0.50"),
        "pictures": ("unreadable:3", "no_text", "output_ratio:0.50"),
    }


def test_damaged_files_stop_neither_judging_nor_forgetting(tmp_path: Path) -> None:
    """One torn file stopped the look at all customers, every day, and no day was forgotten."""
    world = World(tmp_path / "var", ["torn", "whole"])
    folder = days_folder(world.rooms.var)
    try:
        world.live(0, {name: support(1, 0, 3) for name in ("torn", "whole")})
        bodies = {name: support(1, 1, 3) for name in ("torn", "whole")}
        first, second = (world.day_of(day) for day in (0, 1))
        (folder / first / "torn@gateway.msgpack").write_bytes(b"torn")
        (folder / first / clerk_conduct.METER_FILE).write_bytes(b"torn")
        (folder / "2026-01-01").mkdir()
        world.metered(1, bodies)
        (folder / second / "torn@gateway.msgpack").write_bytes(b"torn")
        (seen,) = clerk_conduct.catch_up(world.rooms)
    finally:
        world.close()
    assert seen.blind["torn"] == ("no_text", "output_ratio:0.50", "damaged:1", "past_damaged:1")
    assert seen.blind["whole"] == ("past_short:0", "past_damaged:1")
    assert not (folder / "2026-01-01").exists()
    # The next look reads them no more, and says the same.
    assert clerk_conduct.catch_up(world.rooms) == []
    said = blind.said("damaged:1")
    assert said.startswith("1 files of this day were damaged")


def test_the_past_of_all_accounts_is_never_held_at_once(tmp_path: Path) -> None:
    """Three thousand accounts over four weeks are 4 GB."""
    names, days = [f"shop-{number}" for number in range(6)], 12
    world = World(tmp_path / "var", names)
    folder = days_folder(world.rooms.var)
    try:
        world.metered(days, {name: support(1, 1, 3) for name in names})
        (recent,) = (one for one in folder.iterdir())
        stored = facts.load(recent / "shop-0@gateway.msgpack")
        assert stored is not None
        for name in ("priorities", "facts", "vectors", "marks", "edges"):
            setattr(stored, name, getattr(stored, name)[: len(getattr(stored, name)) // 3] * SAMPLE)
        stored.answer_words, stored.answer_marks = bytes(2 * SAMPLE), bytes(64 * SAMPLE)
        stored.requests = ("",) * SAMPLE
        for day in range(days):
            on = folder / world.day_of(day)
            on.mkdir()
            meters = {name: clerk_conduct.DayMeter(requests=SAMPLE) for name in names}
            (on / clerk_conduct.METER_FILE).write_bytes(msgspec.msgpack.encode(meters))
            for name in names:
                path = on / f"{name}@gateway.msgpack"
                path.write_bytes(msgspec.msgpack.encode(stored))
        size = path.stat().st_size
        view = world.rooms.book.view()
        today = clerk_conduct._day(world.rooms, view, date.fromisoformat(recent.name), bytes(32))
        tracemalloc.start()
        found = clerk_conduct._accounts(world.rooms, view, today, {}, set())
        most = 0
        for account in found.values():
            assert [len(one.sample) for one in account.past] == [SAMPLE] * days
            assert len(account.past[-2:]) == 2
            most = max(most, tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    finally:
        world.close()
    assert len(found) == len(names)
    assert most < days * size, "more than one account's past"


def test_what_cannot_be_judged_is_forgotten_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "var", ["acme"])
    folder = days_folder(world.rooms.var)
    (folder / "2026-01-01").mkdir(parents=True)

    def refuse(*_: object) -> None:
        raise UnavailableError("the book did not answer")

    monkeypatch.setattr(clerk_conduct, "analyse", refuse)
    try:
        with pytest.raises(UnavailableError):
            clerk_conduct.catch_up(world.rooms)
    finally:
        world.close()
    assert list(folder.iterdir()) == []


def test_new_requests_that_look_like_a_harvest_stay_out_of_the_past(world: World) -> None:
    scores = [
        one.score for day in observed(world)[-5:] for one in day.days if one.account == "rival"
    ]
    assert min(scores) > 4, "a campaign must not become the account's usual traffic"


def test_no_text_is_left_on_disk_or_in_memory(world: World) -> None:
    held = [path for path in world.rooms.var.rglob("*") if path.is_file()]
    assert any(path.suffix == ".msgpack" for path in held)
    for path in (*held, *ring.folder_of(world.rooms.var).glob("*")):
        assert CANARY.encode() not in path.read_bytes(), path


def test_the_alarm_is_evidence_of_leaving(world: World) -> None:
    (alarm,) = alarms(world)
    look = clerk_warning.look(world.rooms)
    assert look is not None
    steps = {one.customer: one.ledger.steps for one in look.customers}
    (step,) = [one for one in steps["rival"] if one.kind == "conduct_suspicion"]
    assert (step.on.isoformat(), step.source, round(step.ratio, 6)) == (alarm.on, "conduct", 3)
    assert step.fact is not None
    assert "rival" in step.fact.en
    assert not any(one.kind == "conduct_suspicion" for one in steps[TENANTS[0]])


def test_a_second_look_changes_nothing(world: World) -> None:
    before = len(observed(world)), len(alarms(world))
    assert clerk_conduct.catch_up(world.rooms) == []
    assert (len(observed(world)), len(alarms(world))) == before


def test_facts_are_forgotten_after_a_month(tmp_path: Path) -> None:
    folder = days_folder(tmp_path)
    for day in ("2026-10-20", "2026-10-23", "2026-11-22"):
        (folder / day).mkdir(parents=True)

    assert forget_before(folder, date(2026, 11, 22)) == ["2026-10-20"]
    assert KEEP_DAYS == 31


def shown(world: World, *arguments: str) -> str:
    result = CliRunner().invoke(
        cli, ["--var", str(world.rooms.var), "conduct", *arguments], catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.stdout


def test_the_command_line_shows_days_alarm_and_blind_spots(world: World) -> None:
    lines = shown(world, "days", "--account", "rival").splitlines()
    assert len(lines) == JUDGED_DAYS + 6
    assert "above the line, 22 requests (100% read" in lines[-1]
    assert '"account":"rival"' in shown(world, "days", "--json")
    state = shown(world, "observe")
    assert "alarm on rival (rival) 2026-11-" in state
    assert "quiet: no contract permits reading; the meter alone was seen; 0.50 output" in state
    assert "nobody watches" in state
    assert '"watchers":{}' in shown(world, "observe", "--json")


def test_a_case_that_is_dismissed_ends_the_alarm_and_makes_the_traffic_usual(world: World) -> None:
    rooms = world.rooms
    (case,) = cases.tend(rooms.book, rooms.now(), lambda _: RULES, lambda *_: None)
    assert case.evidence == alarms(world)[0].evidence
    asked = MoveAsked(move="dismiss", reason="their own evaluation set")
    cases.move(rooms.book, rooms.actor, case.id, asked, rooms.now(), RULES)
    assert alarms(world) == []
    assert "no alarm" in shown(world, "observe")
    for day in (8, 9):
        bodies = {name: support(at, day, 20) for at, name in enumerate(ASKING)}
        bodies["rival"] = support(30, day, 14) + harvest(day, 8)
        (rival,) = [one for one in world.live(day, bodies).days if one.account == "rival"]
        assert rival.score < 2, "what a person dismissed is not new again"
        assert rival.evidence is not None
        assert rival.evidence < 5, "what was bet on it is not counted again"
    assert alarms(world) == []
    assert cases.tend(rooms.book, rooms.now(), lambda _: RULES, lambda *_: None) == []
