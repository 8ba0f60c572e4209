"""Properties of the meter: frames survive any cut, and no interleaving loses or doubles a row."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.usage.gateway_model import GatewayModel, Known, check, sealed_rows
from tests.unit.usage.simulated_disk import SimulatedDisk

from quartermaster.kernel.events import Closed, Opened, Progress
from quartermaster.kernel.units import Counts
from quartermaster.usage import frames

text = st.text(max_size=20)
natural = st.integers(0, 2**62)
counts = st.builds(Counts, *(natural for _ in Counts.__struct_fields__))
source = st.sampled_from(["upstream", "engine", "tokenizer", "estimated"])
opened = st.builds(
    Opened,
    request_id=text,
    attempt=natural,
    opened_at=natural,
    customer=text,
    project=text,
    key_id=text,
    contract=text,
    contract_version=natural,
    price_book=text,
    price_book_version=natural,
    model=text,
    deployment=text,
    endpoint=st.just("chat.completions"),
    service_class=st.sampled_from(["standard", "batch", "priority", "provisioned"]),
    stream=st.booleans(),
    cancelled_stream=st.sampled_from(["bill_delivered", "bill_full", "free"]),
    input_bytes=natural,
)
progress = st.builds(
    Progress, at=natural, delivered_chunks=natural, counts=counts, count_source=source
)
closed = st.builds(
    Closed,
    closed_at=natural,
    first_byte_at=natural,
    http_status=st.integers(0, 599),
    counts=counts,
    count_source=source,
    finish_reason=text,
    upstream_id=text,
    upstream_usage=st.binary(max_size=64),
    delivered_chunks=natural,
    failure=text,
)
handle = st.integers(1, 2**40)
record = st.one_of(
    st.tuples(st.just(frames.OPEN), st.lists(st.tuples(handle, opened), max_size=3)),
    st.tuples(st.just(frames.PROGRESS), st.lists(st.tuples(handle, progress), max_size=3)),
    st.tuples(st.just(frames.CLOSE), st.lists(st.tuples(handle, closed), max_size=3)),
    st.tuples(st.just(frames.DELIVERED), st.tuples(handle, st.lists(handle, max_size=5))),
)
DECODERS = {
    frames.OPEN: frames.decode_open,
    frames.PROGRESS: frames.decode_progress,
    frames.CLOSE: frames.decode_close,
    frames.DELIVERED: frames.decode_delivered,
}


@given(st.lists(record, max_size=6), st.data())
def test_any_truncation_leaves_the_whole_frames_before_it(
    records: list[tuple[int, object]], data: st.DataObject
) -> None:
    pieces = [frames.frame(kind, body) for kind, body in records]
    whole = b"".join(pieces)
    ends = [sum(map(len, pieces[: count + 1])) for count in range(len(pieces))]
    cut = data.draw(st.integers(0, len(whole)))
    found, end = frames.scan(whole[:cut])
    expected = [record for record, stop in zip(records, ends, strict=True) if stop <= cut]
    assert [(f.kind, DECODERS[f.kind](f)) for f in found] == expected
    assert end == max((stop for stop in ends if stop <= cut), default=0)


@given(st.lists(record, min_size=1, max_size=4), st.data())
def test_one_changed_byte_is_never_read_as_a_record(
    records: list[tuple[int, object]], data: st.DataObject
) -> None:
    pieces = [frames.frame(kind, body) for kind, body in records]
    whole = bytearray(b"".join(pieces))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found, end = frames.scan(bytes(whole))
    assert end <= at, "a damaged frame was believed"
    assert [(f.kind, DECODERS[f.kind](f)) for f in found] == records[: len(found)]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_a_failure(data: bytes) -> None:
    found, end = frames.scan(data)
    assert 0 <= end <= len(data)
    assert sum(frame.end - frame.start for frame in found) == end


STEPS = (
    "open", "open", "progress", "close", "close", "deliver", "turn", "turn", "sync", "seal",
    "flush", "rotate", "rest", "rest", "wait", "kill", "power",
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.sampled_from(STEPS), max_size=60), st.integers(0, 2**32))
def test_any_interleaving_gives_one_row_a_request(steps: list[str], seed: int) -> None:
    """Every request that was closed for its client, or whose open survived, has exactly one row."""
    luck = random.Random(seed)
    disk = SimulatedDisk(seed)
    model = GatewayModel(disk)
    known = Known()
    exact: dict[str, int] = {}
    lives = 1
    for step in [*steps, "kill"]:
        if step not in ("kill", "power"):
            _do(step, model, luck)
            assert model.wal.writable, "the log stopped although nothing failed"
            continue
        if step == "kill":
            # The page cache survives, so everything that was written to it counts.
            model.wal.flush()
            model.certain |= model.opened
            for request in model.open.values():
                told = model.progress.get(request)
                exact[request] = told.counts.output if told else 0
        known.learn(model)
        disk = disk.after_kill() if step == "kill" else disk.after_power_loss(seed + lives)
        lives += 1
        model = GatewayModel(disk, first_request=lives * 1_000)
    rows = sealed_rows(disk)
    check(known, rows)
    aborted = {row.opened.request_id: row for row in rows if row.status == "aborted"}
    for request, output in exact.items():
        assert aborted[request].closed.counts.output == output, "not the last progress"


def _do(step: str, model: GatewayModel, luck: random.Random) -> None:
    if step == "open":
        model.open_one()
    elif step == "progress":
        model.progress_one(luck)
    elif step == "close":
        model.close_one(luck)
    elif step == "deliver":
        model.deliver_one(luck)
    elif step == "turn":
        model.loop.turn()
    elif step == "sync":
        model.offloads[0].step()
    elif step == "seal":
        model.offloads[1].step()
    elif step == "flush":
        model.wal.flush()
    elif step == "rotate":
        model.wal.rotate()
    elif step == "rest":
        model.rest()
    else:
        model.loop.now_s += 2.5
