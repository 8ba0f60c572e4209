"""Frames on disk, and what is believed of a damaged file."""

import pytest
from tests.unit.usage import usage_facts

from quartermaster.kernel.errors import IntegrityError
from quartermaster.usage import frames


def some_file() -> tuple[bytes, list[bytes]]:
    pieces = [
        frames.frame(frames.OPEN, [(1, usage_facts.opened(1)), (2, usage_facts.opened(2))]),
        frames.frame(frames.PROGRESS, [(1, usage_facts.progress(3))]),
        frames.frame(frames.CLOSE, [(1, usage_facts.closed())]),
    ]
    return b"".join(pieces), pieces


def test_frames_come_back_in_order_with_their_records() -> None:
    data, _ = some_file()
    found, end = frames.scan(data)
    assert [frame.kind for frame in found] == [frames.OPEN, frames.PROGRESS, frames.CLOSE]
    assert end == len(data)
    assert frames.decode_open(found[0]) == [
        (1, usage_facts.opened(1)),
        (2, usage_facts.opened(2)),
    ]
    assert frames.decode_progress(found[1]) == [(1, usage_facts.progress(3))]
    assert frames.decode_close(found[2]) == [(1, usage_facts.closed())]


def test_more_records_than_one_frame_may_hold_are_shared_out() -> None:
    longest = usage_facts.closed_with_the_longest_texts()
    records = [(handle, longest) for handle in range(frames.RECORDS_MAX + 1)]
    pieces = frames.record_frames(frames.CLOSE, records)
    found, _ = frames.scan(b"".join(pieces))
    assert [len(frames.decode_close(one)) for one in found] == [frames.RECORDS_MAX, 1]
    assert len(pieces[0]) < frames.PAYLOAD_BYTES_MAX


def test_a_torn_tail_is_cut() -> None:
    data, pieces = some_file()
    found = frames.read_unsealed(data[:-1], "a.open")
    assert [frame.end for frame in found] == [len(pieces[0]), len(pieces[0]) + len(pieces[1])]


def test_a_hole_of_zeros_after_the_synced_part_is_a_torn_tail() -> None:
    _, pieces = some_file()
    confirmed = frames.frame(frames.DELIVERED, (len(pieces[0]), [1]))
    hole = bytes(len(pieces[1]))
    found = frames.read_unsealed(pieces[0] + hole + pieces[2] + confirmed, "a.open")
    assert [frame.kind for frame in found] == [frames.OPEN]


def test_damage_below_the_synced_length_names_file_and_offset() -> None:
    data, pieces = some_file()
    confirmed = frames.frame(frames.DELIVERED, (len(data), [1]))
    at = len(pieces[0]) + 20
    damaged = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :] + confirmed
    with pytest.raises(IntegrityError, match=rf"a\.open is damaged at offset {len(pieces[0])}"):
        frames.read_unsealed(damaged, "a.open")


def test_a_sealed_file_tolerates_no_damage() -> None:
    data, _ = some_file()
    seal = frames.Seal("gateway-0", 1, 1, "0" * 64, "1" * 64, usage_facts.NOON)
    whole = data + frames.frame(frames.SEAL, seal)
    run, found = frames.read_sealed(whole, "a.sealed")
    assert (len(run), found) == (3, seal)
    for broken in (whole[:-1], data, b"", whole + b"x", b"x" + whole):
        with pytest.raises(IntegrityError, match=r"a\.sealed is damaged at offset"):
            frames.read_sealed(broken, "a.sealed")


def test_a_length_that_is_damage_does_not_allocate() -> None:
    header = frames.HEADER.pack(2**32 - 1, 0, frames.OPEN)
    assert frames.scan(header + bytes(100)) == ([], 0)
