"""The hash chain without a database."""

import hashlib

import msgspec
import pytest

from quartermaster.book.chain import (
    GENESIS,
    Entry,
    Head,
    decode_fact,
    encode_fact,
    recorded,
    seal,
    verify,
)
from quartermaster.kernel.contract import Group
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.events import GroupAdded, JournalFact, SegmentShipped


def chain_of(*facts: JournalFact) -> list[Entry]:
    entries: list[Entry] = []
    prev = GENESIS
    for seq, fact in enumerate(facts, start=1):
        entry = seal(seq=seq, at=seq * 10, actor="ada", key=None, fact=encode_fact(fact), prev=prev)
        entries.append(entry)
        prev = entry.sha256
    return entries


FACTS: tuple[JournalFact, ...] = tuple(
    SegmentShipped(app_id="gw-0", segment=n, rows=5, sha256="ab") for n in range(1, 5)
)


def test_a_whole_chain_verifies_to_its_newest_entry() -> None:
    entries = chain_of(*FACTS)
    assert verify(entries) == Head(4, entries[-1].sha256)
    assert verify([]) == Head(0, GENESIS)


def test_the_hash_can_be_computed_by_anybody_from_the_documented_layout() -> None:
    (entry,) = chain_of(FACTS[0])
    parts = [b"1", b"10", b"ada", b"\x00", entry.fact, GENESIS.encode()]
    layout = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert entry.sha256 == hashlib.sha256(layout).hexdigest()


def test_a_missing_entry_is_named() -> None:
    entries = chain_of(*FACTS)
    with pytest.raises(IntegrityError, match="entry 2 is missing"):
        verify([entries[0], *entries[2:]])
    with pytest.raises(IntegrityError, match="entry 1 is missing"):
        verify(entries[1:])


def test_a_rewritten_entry_breaks_at_itself_or_at_its_successor() -> None:
    entries = chain_of(*FACTS)
    other = encode_fact(SegmentShipped(app_id="gw-0", segment=2, rows=6, sha256="ab"))
    careless = msgspec.structs.replace(entries[1], fact=other)
    with pytest.raises(IntegrityError, match="entry 2 was changed"):
        verify([entries[0], careless, *entries[2:]])
    careful = seal(seq=2, at=20, actor="ada", key=None, fact=other, prev=entries[0].sha256)
    with pytest.raises(IntegrityError, match="entry 3 does not follow"):
        verify([entries[0], careful, *entries[2:]])


def test_a_cut_off_tail_shows_only_against_a_noted_head() -> None:
    entries = chain_of(*FACTS)
    noted = Head(3, entries[2].sha256)
    assert verify(entries, expected=noted).seq == 4
    assert verify(entries[:2]).seq == 2
    with pytest.raises(IntegrityError, match="no longer holds entry 3"):
        verify(entries[:2], expected=noted)


def test_facts_survive_the_round_trip_and_unknown_ones_do_not_pass() -> None:
    fact = GroupAdded(group=Group("g", "Gruppe"))
    assert decode_fact(encode_fact(fact)) == fact
    assert recorded(chain_of(fact)[0]).fact == fact
    with pytest.raises(IntegrityError, match="cannot be read"):
        decode_fact(b'{"fact":"SomethingElse","v":1}')
