"""The fleet behind the capacity page: the setting, what was metered, and the sample."""

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.usage.sealed_logs import new_table, requests, ship, write_segment
from tests.unit.usage.usage_facts import NOON

from quartermaster.app import live as views
from quartermaster.app.capacity_metered import metered
from quartermaster.app.console_capacity import (
    ShownCapacity,
    capacity_of,
    metered_window,
    read_fleet,
    sample_window,
)
from quartermaster.app.rooms import Rooms
from quartermaster.capacity.settings import CapacitySettings
from quartermaster.capacity.statement import state
from quartermaster.cli.main import run
from quartermaster.config import Settings
from quartermaster.console.ports_capacity import (
    CapacityFacts,
    CapacityMissing,
    CapacityQuestion,
)
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month_named, month_of
from quartermaster.kernel.errors import ConfigError, DataError, UsageError
from quartermaster.sim.book import sample_book
from quartermaster.sim.capacity import sample_capacity

ROOT = Path(__file__).resolve().parents[3]
STARTER = ROOT / "src/quartermaster/billing/data/starter.toml"
MONTH = month_of(Instant(NOON), "UTC").label
LATER = Instant(NOON + 40 * 24 * US_PER_HOUR)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    """A customer with a contract, ten million tokens used, and a fleet that serves them."""
    folder = tmp_path_factory.mktemp("capacity")
    var = folder / "var"
    var.mkdir()
    write_segment(var / "wal" / "gateway-0", requests(1, 10_000_000))
    ship(var / "wal", new_table(var / "usage"))
    for line in (
        f"bill prices publish {STARTER}",
        "customer add cus_tiktok --name TikTok --country SG",
        "customer sign cus_tiktok --contract ctr_1 --price-book starter --time-zone UTC",
    ):
        assert run(["--var", str(var), *line.split()]) == 0
    text = (ROOT / "examples/fleet-sample.toml").read_text("utf-8")
    (folder / "fleet.toml").write_text(text.replace('"sample-70b"', '"toy"'), "utf-8")
    settings = Settings(var=str(var), capacity=CapacitySettings(file=str(folder / "fleet.toml")))
    rooms = Rooms(settings)
    views.write(var, live_book(rooms))
    return rooms


def live_book(rooms: Rooms, group: str = "grp_bytedance") -> views.LiveBook:
    fleet, _ = read_fleet(rooms.settings.capacity.file)
    found = metered(rooms, fleet, None)
    return views.LiveBook(
        cut=found.cut,
        computed_at=NOON,
        revenue=(
            views.MonthRevenue(
                contract="ctr_1",
                customer="cus_tiktok",
                customer_name="TikTok",
                group=group,
                group_name="ByteDance",
                month=MONTH,
                time_zone="UTC",
                currency="USD",
                amount=found_amount(found.paid),
                minor=sum(found.paid.values()),
                requests=1,
                tokens=1,
                unpriced=0,
            ),
        ),
    )


def found_amount(paid: dict[str, int]) -> Decimal:
    return Decimal(sum(paid.values())).scaleb(-2)


def facts(shown: ShownCapacity, now: Instant = LATER, **fields: object) -> CapacityFacts:
    found = shown.capacity(replace(CapacityQuestion(), **fields), now)
    assert isinstance(found, CapacityFacts), found
    return found


def test_a_configured_fleet_shows_what_was_metered(rooms: Rooms) -> None:
    found = facts(capacity_of(rooms, sample=True))
    assert (found.sample, found.question.month, found.months) == (False, MONTH, (MONTH,))
    line = next(one for one in found.before.customers if one.customer == "grp_bytedance")
    assert line.decode_tokens == 100_000_010
    assert line.revenue_minor == found.revenue_minor > 0
    # The name in the fleet's reservation is the customer's: one group, not two.
    assert [one.customer for one in found.before.customers] == ["grp_bytedance"]
    assert found.choices == (("grp_bytedance", "ByteDance"),)
    period = month_named(MONTH, "UTC")
    assert (found.before.first_hour, found.before.hours) == (period.start, period.hours)
    assert found.whole_month


def test_the_figures_are_those_of_the_command_line(rooms: Rooms) -> None:
    fleet, _ = read_fleet(rooms.settings.capacity.file)
    period = month_named(MONTH, "UTC")
    used = metered(rooms, fleet, period)
    said = state(fleet, used.rows, span=(period.start, period.hours), revenue=used.paid)
    found = facts(capacity_of(rooms, sample=True)).before
    assert (found.cost_minor, found.money.stranded) == (said.cost_minor, said.money.stranded)
    assert found.customer_minor == said.customer_minor


def test_an_open_month_ends_with_its_last_hour(rooms: Rooms) -> None:
    found = facts(capacity_of(rooms, sample=True), now=Instant(NOON))
    assert not found.whole_month
    assert found.before.hours == 1


def test_a_month_without_demand_says_so(rooms: Rooms) -> None:
    shown = capacity_of(rooms, sample=True)
    found = shown.capacity(CapacityQuestion(month="2020-01"), LATER)
    assert found == CapacityMissing(reason="no_demand")


def test_an_empty_book_says_so(rooms: Rooms, tmp_path: Path) -> None:
    empty = Rooms(Settings(var=str(tmp_path), capacity=rooms.settings.capacity))
    found = ShownCapacity(metered_window(empty, empty.settings.capacity.file))
    assert found.capacity(CapacityQuestion(), LATER) == CapacityMissing(reason="no_demand")


def test_without_a_setting_there_is_the_sample_or_nothing(tmp_path: Path) -> None:
    plain = Rooms(Settings(var=str(tmp_path)))
    assert facts(capacity_of(plain, sample=True)).sample
    none = capacity_of(plain, sample=False).capacity(CapacityQuestion(), LATER)
    assert none == CapacityMissing(reason="not_configured")


def test_a_wrong_setting_is_said_at_the_start(tmp_path: Path) -> None:
    wrong = CapacitySettings(file=str(tmp_path / "no.toml"))
    with pytest.raises(ConfigError, match=r"capacity\.file"):
        capacity_of(Rooms(Settings(var=str(tmp_path), capacity=wrong)), sample=True)
    (tmp_path / "bad.toml").write_text("= 3", "utf-8")
    broken = CapacitySettings(file=str(tmp_path / "bad.toml"))
    with pytest.raises(DataError, match=r"bad\.toml"):
        capacity_of(Rooms(Settings(var=str(tmp_path), capacity=broken)), sample=True)


def test_the_fleet_is_read_again_when_it_changes(rooms: Rooms, tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    text = Path(rooms.settings.capacity.file).read_text("utf-8")
    file.write_text(text, "utf-8")
    shown = ShownCapacity(metered_window(rooms, str(file)))
    before = facts(shown)
    file.write_text(text.replace("gpus = 512", "gpus = 1024"), "utf-8")
    after = facts(shown)
    assert after.before.cost_minor > before.before.cost_minor
    assert after.fleet_sha256 != before.fleet_sha256


def test_the_sample_has_one_month() -> None:
    with pytest.raises(UsageError) as refused:
        sample_window("2020-01", LATER)
    assert refused.value.field == "month"
    assert sample_window("2024-03", LATER) is sample_window("", LATER)


def test_the_sample_fleet_serves_the_sample_book() -> None:
    found = sample_capacity()
    assert found == sample_capacity()
    paid = {row.customer: row.minor for row in sample_book() if row.month == found.month}
    assert found.revenue == paid
    assert {row.customer for row in found.rows} == set(paid)
    said = state(found.fleet, found.rows, span=found.span, revenue=found.revenue)
    # Everybody fits, a little is left over, and there is a margin.
    assert said.time.beyond == 0
    assert 0 < said.time.stranded * 20 < said.gpu_us
    assert 0 < said.cost_minor < sum(paid.values())
    assert said.warnings == ()
