"""What a worker counts, how a successor goes on, and what Prometheus reads of it."""

from pathlib import Path

import msgspec
import pytest
from tests.unit.gateway.gateway_fakes import a_grant
from tests.unit.gateway.observed import AT, AnEnd, a_call, a_close

from quartermaster.capacity.scrapes import read_scrape
from quartermaster.gateway import metrics_text
from quartermaster.gateway.metrics import LATENCY_BOUNDS_US, SYNC_BOUNDS_US, Meters, Totals
from quartermaster.gateway.metrics_file import (
    WorkerMetrics,
    all_metrics,
    metrics_path,
    predecessor,
    write_metrics,
)
from quartermaster.gateway.metrics_text import FAMILIES, exposition
from quartermaster.gateway.metrics_window import INTERVAL_S, Window
from quartermaster.gateway.status import LaneStatus, Tallies, WorkerStatus
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.units import Counts

NOW = Instant(AT + US_PER_S)


def a_status(app_id: str = "gateway-0", **fields: object) -> WorkerStatus:
    known: dict[str, object] = {
        "app_id": app_id,
        "worker": 0,
        "pid": 1,
        "host": "127.0.0.1",
        "port": 8471,
        "state": "serving",
        "started_at": AT - 60 * US_PER_S,
        "at": NOW,
        "snapshot_version": 7,
        "snapshot_error": "",
        "out_of_contact": False,
        "wal_writable": True,
        "connections": 3,
        "upstream_connections": 2,
        "in_flight": 1,
        "requests": 9,
        "requests_per_s": 4,
        "refusals": {},
        "failures": {},
    }
    return msgspec.convert({**known, **fields}, WorkerStatus)


def a_file(totals: Totals, app_id: str = "gateway-0") -> WorkerMetrics:
    return WorkerMetrics(
        app_id=app_id,
        at=NOW,
        started_at=AT,
        totals=totals,
        cpu_us=1_500_000,
        resident_bytes=60_000_000,
        snapshot_contact_at=NOW - 200_000,
    )


def totals_of(meters: Meters, **refusals: int) -> Totals:
    tallies = Tallies()
    tallies.refusals = dict(refusals)
    return meters.totals(tallies, syncs=1, dropped={})


def lines_of(text: str, name: str) -> dict[str, float]:
    """Values by labels of one family's samples."""
    found = {}
    for line in text.splitlines():
        sample, _, value = line.rpartition(" ")
        if sample.partition("{")[0] == name:
            found[sample.removeprefix(name)] = float(value)
    return found


def counted(*ended: AnEnd, released_ms: float = 84) -> Meters:
    meters = Meters()
    meters.ended(ended, AT + int(released_ms * 1000))
    return meters


def test_a_request_is_counted_by_what_it_was_and_what_became_of_it() -> None:
    failed = a_close(status=502, failure="upstream_dropped", counts=Counts(), first_byte_ms=0)
    meters = counted(AnEnd(), AnEnd(), AnEnd(call=a_call(stream=True)), AnEnd(closed=failed))
    text = exposition([a_file(totals_of(meters, invalid_api_key=4))], [a_status()], NOW)
    place = 'endpoint="chat.completions",model="llama",deployment="llama@rack-1"'
    assert lines_of(text, metrics_text.REQUESTS) == {
        f'{{{place},stream="false",status="200",reason=""}}': 2,
        f'{{{place},stream="true",status="200",reason=""}}': 1,
        f'{{{place},stream="false",status="502",reason="upstream_dropped"}}': 1,
    }
    assert lines_of(text, metrics_text.REFUSALS) == {'{reason="invalid_api_key"}': 4}
    errors = '{model="llama",deployment="llama@rack-1",reason="upstream_dropped"}'
    assert lines_of(text, metrics_text.UPSTREAM_ERRORS) == {errors: 1}
    tokens = lines_of(text, metrics_text.TOKENS)
    assert tokens == {f'{{{place},axis="input"}}': 72, f'{{{place},axis="output"}}': 36}


def test_histograms_are_cumulative_and_hold_every_request() -> None:
    slow = a_close(took_ms=400_000, first_byte_ms=200_000)
    at_a_bound = a_close(took_ms=80, first_byte_ms=40)
    stream = a_call(stream=True)
    meters = counted(AnEnd(slow, stream), AnEnd(at_a_bound, stream), released_ms=400_000)
    text = exposition([a_file(totals_of(meters))], [], NOW)
    buckets = lines_of(text, f"{metrics_text.FIRST_TOKEN}_bucket")
    by_bound = {labels.rpartition('le="')[2].rstrip('"}'): n for labels, n in buckets.items()}
    assert [by_bound[b] for b in ("0.02", "0.04", "160", "+Inf")] == [0, 1, 1, 2]
    assert list(by_bound.values()) == sorted(by_bound.values())
    assert set(lines_of(text, f"{metrics_text.FIRST_TOKEN}_sum").values()) == {200.04}
    assert set(lines_of(text, f"{metrics_text.DURATION}_sum").values()) == {400.08}
    assert set(lines_of(text, f"{metrics_text.DURATION}_count").values()) == {2}
    # One waited not at all, the other as long as the first had taken.
    waits = lines_of(text, f"{metrics_text.SYNC_WAIT}_bucket")
    assert (waits['{le="0.0001"}'], waits['{le="+Inf"}']) == (1, 2)


def test_plain_answers_have_no_time_to_a_first_token() -> None:
    text = exposition([a_file(totals_of(counted(AnEnd())))], [], NOW)
    assert metrics_text.FIRST_TOKEN not in text
    assert set(lines_of(text, f"{metrics_text.DURATION}_count").values()) == {1}


def test_rare_axes_and_images_are_counted_apart() -> None:
    counts = Counts(10, 20, 30, 40, 50, 60, 70, 8)
    meters = counted(AnEnd(a_close(counts=counts)), AnEnd(a_close(counts=Counts(image=2))))
    assert meters.customers["cus_1"] == [2, 280]
    text = exposition([a_file(totals_of(meters))], [], NOW)
    tokens = {
        labels.split('axis="')[1][:-2]: n
        for labels, n in lines_of(text, metrics_text.TOKENS).items()
    }
    assert tokens == {
        "input": 10,
        "cached_read": 20,
        "cache_write": 30,
        "output": 40,
        "reasoning": 50,
        "audio_input": 60,
        "audio_output": 70,
    }
    assert set(lines_of(text, metrics_text.IMAGES).values()) == {10}


def test_an_answer_whose_log_failed_counts_as_what_the_client_read() -> None:
    text = exposition([a_file(totals_of(counted(AnEnd(closed=None))))], [], NOW)
    (labels,) = lines_of(text, metrics_text.REQUESTS)
    assert 'status="503",reason="meter_unavailable"' in labels


def test_a_clock_that_was_set_back_makes_no_sum_fall() -> None:
    early = a_close(took_ms=-5_000, first_byte_ms=-6_000)
    meters = counted(AnEnd(early, a_call(stream=True)), released_ms=-9_000)
    (series,) = totals_of(meters).series
    assert (series.duration_us, series.first_byte_us, meters.sync_wait_us) == (0, 0, 0)
    assert series.duration[0] == series.first_byte[0] == meters.sync_wait[0] == 1


def test_workers_are_added_up_or_shown_apart() -> None:
    files = [a_file(totals_of(counted(AnEnd()), not_ready=1), f"gateway-{n}") for n in range(2)]
    statuses = [a_status("gateway-0"), a_status("gateway-1")]
    summed = read_scrape(exposition(files, statuses, NOW), "sum")
    apart = read_scrape(exposition(files, statuses, NOW, by_worker=True), "apart")
    assert summed == apart
    assert summed[metrics_text.REQUESTS] == summed[metrics_text.REFUSALS] == 2
    text = exposition(files, statuses, NOW)
    assert len(lines_of(text, metrics_text.REQUESTS)) == 1
    assert len(lines_of(text, metrics_text.IN_FLIGHT)) == 2
    assert 'worker="gateway-1"' in exposition(files, [], NOW, by_worker=True)


def test_a_silent_or_stopped_worker_is_down_but_what_it_counted_stays() -> None:
    silent = a_status(at=NOW - 6 * US_PER_S)
    stopped = a_status("gateway-1", state="stopped")
    files = [a_file(totals_of(counted(AnEnd())))]
    text = exposition(files, [silent, stopped], NOW)
    up = lines_of(text, metrics_text.UP)
    assert up == {'{worker="gateway-0"}': 0, '{worker="gateway-1"}': 0}
    assert not lines_of(text, metrics_text.IN_FLIGHT)
    assert sum(lines_of(text, metrics_text.REQUESTS).values()) == 1


def test_a_draining_worker_is_up_and_not_ready_and_says_how_old_its_snapshot_is() -> None:
    text = exposition([a_file(Totals())], [a_status(state="draining")], NOW)
    worker = '{worker="gateway-0"}'
    assert lines_of(text, metrics_text.UP) == {worker: 1}
    assert lines_of(text, metrics_text.READY) == {worker: 0}
    assert lines_of(text, metrics_text.SNAPSHOT_VERSION) == {worker: 7}
    assert lines_of(text, metrics_text.SNAPSHOT_AGE) == {worker: 0.2}
    assert lines_of(text, metrics_text.CPU) == {worker: 1.5}


def test_names_of_strangers_cannot_break_a_line() -> None:
    totals = totals_of(counted(AnEnd()), **{'a"b\\c\nd': 1})
    text = exposition([a_file(totals)], [], NOW)
    assert f'{metrics_text.REFUSALS}{{reason="a\\"b\\\\c\\nd"}} 1' in text.splitlines()
    assert read_scrape(text, "scrape")[metrics_text.REFUSALS] == 1


def test_every_family_says_what_it_is_before_its_samples() -> None:
    text = exposition([a_file(totals_of(counted(AnEnd())))], [a_status()], NOW)
    known: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            known.add(line.split()[2])
        elif not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0]
            family = name if name in FAMILIES else name.rpartition("_")[0]
            assert family in known, line


def test_a_successor_goes_on_where_the_worker_ended(tmp_path: Path) -> None:
    path = metrics_path(tmp_path, "gateway-0")
    path.parent.mkdir()
    first = counted(AnEnd(), AnEnd(a_close(status=502, failure="upstream_error")))
    write_metrics(path, a_file(totals_of(first, not_ready=2)))
    second = Meters(predecessor(path))
    second.ended([AnEnd()], AT + 84_000)
    totals = totals_of(second, not_ready=1)
    (series,) = totals.series
    assert series.outcomes == ((200, "", 2), (502, "upstream_error", 1))
    assert sum(series.duration) == sum(totals.sync_wait) == 3
    assert (totals.refusals, totals.syncs) == ({"not_ready": 3}, 2)


@pytest.mark.parametrize("data", [b"", b"{", b"[]"])
def test_a_torn_file_begins_anew_and_is_named_to_who_asks(tmp_path: Path, data: bytes) -> None:
    path = metrics_path(tmp_path, "gateway-0")
    path.parent.mkdir()
    path.write_bytes(data)
    assert predecessor(path) == Totals()
    with pytest.raises(IntegrityError, match="gateway-0"):
        all_metrics(tmp_path)


def test_counts_of_other_bounds_are_not_added_to_ours(tmp_path: Path) -> None:
    path = metrics_path(tmp_path, "gateway-0")
    path.parent.mkdir()
    old = msgspec.structs.replace(
        a_file(totals_of(counted(AnEnd()))), latency_bounds_us=(1, *LATENCY_BOUNDS_US[1:])
    )
    write_metrics(path, old)
    assert predecessor(path) == Totals()
    assert all_metrics(tmp_path) == []


def test_bounds_rise_and_hold_those_that_opentelemetry_advises() -> None:
    assert list(LATENCY_BOUNDS_US) == sorted(set(LATENCY_BOUNDS_US))
    assert list(SYNC_BOUNDS_US) == sorted(set(SYNC_BOUNDS_US))
    # gen_ai.server.time_to_first_token
    advised_ms = (1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000)
    assert {ms * 1_000 for ms in advised_ms} <= set(LATENCY_BOUNDS_US)


# -- the last minutes ----------------------------------------------------------------------------


def test_the_window_holds_what_was_counted_in_each_interval() -> None:
    meters = Meters()
    window = Window(totals_of(meters), AT)
    for second in range(1, 2 * INTERVAL_S + 2):
        meters.ended([AnEnd()], AT + second * US_PER_S)
        now = AT + second * US_PER_S
        found = window.look(totals_of(meters, not_ready=second), meters, [], {"cus_1": 2}, now)
    assert [one.requests for one in found.intervals] == [INTERVAL_S, INTERVAL_S, 1]
    assert [one.seconds for one in found.intervals] == [INTERVAL_S, INTERVAL_S, 1]
    assert [one.tokens for one in found.intervals] == [180, 180, 36]
    assert found.intervals[0].refusals == {"not_ready": INTERVAL_S}
    assert sum(found.intervals[0].duration) == INTERVAL_S
    (customer,) = found.customers
    assert (customer.requests, customer.tokens, customer.in_flight) == (11, 396, 2)
    assert len(found.ended) == 11


def test_the_busiest_come_first_and_who_was_busy_long_ago_is_forgotten() -> None:
    meters = Meters()
    window = Window(totals_of(meters), AT)
    meters.ended([AnEnd(grant=a_grant(customer="gone"))], AT)
    for minute in range(6):
        now = AT + minute * 60 * US_PER_S
        big = AnEnd(grant=a_grant(customer="big"), closed=a_close(counts=Counts(output=900)))
        meters.ended([big, AnEnd()], now)
        found = window.look(totals_of(meters), meters, [], {"waiting": 1}, now)
    assert [one.customer for one in found.customers] == ["big", "cus_1", "waiting"]
    assert found.customers[2].in_flight == 1
    assert found.customers_since == AT + 60 * US_PER_S


def test_a_window_begins_with_nothing_of_a_predecessor() -> None:
    before = totals_of(counted(AnEnd()), not_ready=5)
    meters = Meters(before)
    window = Window(meters.totals(Tallies(), syncs=0, dropped={}), AT)
    later = meters.totals(Tallies(), syncs=0, dropped={})
    found = window.look(later, meters, [], {}, AT + US_PER_S)
    assert [one.requests for one in found.intervals] == [0]
    assert found.intervals[0].refusals == {}


def test_provisioned_units_are_counted_by_contract_and_model() -> None:
    lane = LaneStatus("c-1", "m", 60_000, 250, served=8, spilled=2, refused=1)
    text = exposition([], [a_status(provisioned=(lane,))], NOW)
    used = lines_of(text, "quartermaster_gateway_provisioned_utilization_ratio")
    assert list(used.values()) == [0.25]
    counted = lines_of(text, "quartermaster_gateway_provisioned_requests_total")
    assert sorted(counted.values()) == [1, 2, 8]


def test_who_has_handed_over_is_not_missed() -> None:
    old = a_status(state="draining")
    new = a_status("gateway-0-b", started_at=AT)
    other = a_status("gateway-1", worker=1, state="stopped")
    draining = exposition([], [old, new, other], NOW)
    ups, ready = "quartermaster_gateway_worker_up", "quartermaster_gateway_worker_ready"
    served = {'{worker="gateway-0-b"}': 1, '{worker="gateway-1"}': 0}
    assert lines_of(draining, ready) == served
    # It still ends what it had begun, and that is seen.
    assert lines_of(draining, ups) == {'{worker="gateway-0"}': 1, **served}
    assert '{worker="gateway-0"}' in lines_of(draining, "quartermaster_gateway_in_flight_requests")
    ended = exposition([], [a_status(state="stopped"), new, other], NOW)
    assert lines_of(ended, ups) == lines_of(ended, ready) == served
    # One that is silent may hang with streams of its customers: it is shown.
    hanging = exposition([], [a_status(at=NOW - 60 * US_PER_S), new, other], NOW)
    assert lines_of(hanging, ready) == served
    assert lines_of(hanging, ups) == {'{worker="gateway-0"}': 0, **served}
    back = exposition([], [a_status(started_at=NOW), new], NOW)
    assert lines_of(back, ready) == {'{worker="gateway-0"}': 1}


def test_what_a_model_server_rejects_is_the_customer_s_error_unless_it_was_busy() -> None:
    meters = Meters()
    for status, failure in ((400, "upstream_rejected"), (429, "upstream_rejected")):
        meters.ended([AnEnd(a_close(status=status, failure=failure))], AT + 84_000)
    text = exposition([a_file(totals_of(meters))], [], NOW)
    assert sum(lines_of(text, "quartermaster_gateway_requests_total").values()) == 2
    assert list(lines_of(text, "quartermaster_gateway_upstream_errors_total").values()) == [1]
