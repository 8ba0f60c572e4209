"""Workers' minutes laid on each other, as the live-traffic page shows them."""

from pathlib import Path

import pytest
from tests.unit.gateway.gateway_fakes import a_grant
from tests.unit.gateway.observed import AT, AnEnd, a_call, a_close

from quartermaster.app.live_traffic import LiveTraffic, quantile_ms
from quartermaster.gateway.metrics import LATENCY_BOUNDS_US, Meters, seen
from quartermaster.gateway.metrics_file import WorkerMetrics, metrics_path, write_metrics
from quartermaster.gateway.metrics_window import Window
from quartermaster.gateway.status import Tallies
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.units import Counts

SECONDS = 26
END = Instant(AT + SECONDS * US_PER_S)


def a_worker(
    var: Path, app_id: str, *, a_second: int, until: int = SECONDS, started_at: int = AT
) -> None:
    """A worker that ended so many streams a second, and whose file is from then."""
    meters, tallies = Meters(), Tallies()
    totals = meters.totals(tallies, syncs=0, dropped={})
    window = Window(totals, AT)
    grant = a_grant(customer=f"cus_{app_id}")
    stream = AnEnd(a_close(first_byte_ms=30, counts=Counts(10, 0, 0, 10)), a_call(stream=True))
    stream.grant = grant
    now, found = AT, None
    for second in range(1, until + 1):
        now = AT + second * US_PER_S
        meters.ended([stream] * a_second, now)
        tallies.refused("rate_limit_exceeded")
        totals = meters.totals(tallies, syncs=0, dropped={})
        running = [seen(AnEnd(closed=None, opened_at=now, request_id=f"{app_id}-runs"))]
        found = window.look(totals, meters, running, {grant.customer: 3}, now)
    assert found is not None
    path = metrics_path(var, app_id)
    path.parent.mkdir(exist_ok=True)
    write_metrics(
        path,
        WorkerMetrics(app_id=app_id, at=now, started_at=started_at, totals=totals, window=found),
    )


def test_rates_and_counts_of_all_workers_are_added(tmp_path: Path) -> None:
    a_worker(tmp_path, "gateway-0", a_second=4)
    a_worker(tmp_path, "gateway-1", a_second=6)
    facts = LiveTraffic(tmp_path).traffic(END)
    assert (facts.workers, facts.silent, facts.in_flight) == (2, (), 6)
    assert facts.requests_per_s == pytest.approx(10)
    assert facts.tokens_per_s == pytest.approx(200)
    assert facts.refused_per_s == pytest.approx(2)
    assert [point.requests_per_s for point in facts.points] == pytest.approx([10] * 5)
    assert [point.at - facts.points[0].at for point in facts.points][1] == 5 * US_PER_S
    (refused,) = facts.refusals
    assert (refused.reason, refused.requests) == ("rate_limit_exceeded", 2 * SECONDS)
    assert facts.first_token_ms_p50 == pytest.approx(30, abs=10)
    first, second = facts.customers
    assert (first.customer, first.requests, first.tokens) == ("cus_gateway-1", 156, 3_120)
    assert second.tokens == 2_080
    assert {one.request_id for one in facts.requests if one.closed_at is None} == {
        "gateway-0-runs",
        "gateway-1-runs",
    }


def test_a_worker_that_is_silent_is_named_and_not_counted(tmp_path: Path) -> None:
    a_worker(tmp_path, "gateway-0", a_second=4)
    a_worker(tmp_path, "gateway-1", a_second=6, until=10)
    facts = LiveTraffic(tmp_path).traffic(END)
    assert (facts.workers, facts.silent) == (1, ("gateway-1",))
    assert facts.requests_per_s == pytest.approx(4)


def test_a_worker_that_has_handed_over_is_not_called_silent(tmp_path: Path) -> None:
    a_worker(tmp_path, "gateway-0", a_second=6, until=10)
    a_worker(tmp_path, "gateway-0-b", a_second=4, started_at=AT + 9 * US_PER_S)
    facts = LiveTraffic(tmp_path).traffic(END)
    assert (facts.workers, facts.silent) == (1, ())


def test_a_worker_of_long_ago_is_not_named_any_more(tmp_path: Path) -> None:
    a_worker(tmp_path, "gateway-0", a_second=1)
    facts = LiveTraffic(tmp_path).traffic(Instant(END + 600 * US_PER_S))
    assert (facts.workers, facts.silent, facts.points, facts.requests_per_s) == (0, (), (), 0)


def test_nothing_was_ever_started(tmp_path: Path) -> None:
    assert LiveTraffic(tmp_path).traffic(END).workers == 0


def test_a_stretch_in_which_nobody_asked_is_there_with_zeros(tmp_path: Path) -> None:
    a_worker(tmp_path, "gateway-0", a_second=2)
    facts = LiveTraffic(tmp_path).traffic(Instant(END + 4 * US_PER_S))
    assert facts.points[-1].requests_per_s in (0, pytest.approx(2))
    gaps = {b.at - a.at for a, b in zip(facts.points, facts.points[1:], strict=False)}
    assert gaps == {5 * US_PER_S}


def test_a_quantile_lies_between_the_bounds_of_its_bucket() -> None:
    counts = [0] * (len(LATENCY_BOUNDS_US) + 1)
    assert quantile_ms(counts, 0.5) is None
    counts[LATENCY_BOUNDS_US.index(100_000)] = 10
    assert quantile_ms(counts, 0.5) == 90
    assert quantile_ms(counts, 1.0) == 100
    counts[-1] = 90
    assert quantile_ms(counts, 0.95) == LATENCY_BOUNDS_US[-1] / 1_000
    assert quantile_ms(counts, 0.05) == pytest.approx(90)
