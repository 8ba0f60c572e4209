"""The book for all contents: a changed byte shows, and no set off balance gets in."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.book.chain import GENESIS, Entry, seal, verify
from quartermaster.book.postings import Posting, require_balanced, transfer
from quartermaster.kernel.errors import IntegrityError

FACTS = st.lists(
    st.tuples(st.binary(max_size=30), st.text(max_size=8), st.none() | st.text(max_size=8)),
    min_size=1,
    max_size=8,
)


def chain_of(facts: list[tuple[bytes, str, str | None]]) -> list[Entry]:
    entries: list[Entry] = []
    prev = GENESIS
    for seq, (fact, actor, key) in enumerate(facts, start=1):
        entries.append(seal(seq=seq, at=seq, actor=actor, key=key, fact=fact, prev=prev))
        prev = entries[-1].sha256
    return entries


@given(FACTS, st.data())
def test_any_changed_byte_of_any_fact_is_found_at_its_entry(
    facts: list[tuple[bytes, str, str | None]], data: st.DataObject
) -> None:
    entries = chain_of(facts)
    assert verify(entries).sha256 == entries[-1].sha256
    index = data.draw(st.integers(0, len(entries) - 1))
    fact = entries[index].fact
    if not fact:
        changed = b"x"
    else:
        at = data.draw(st.integers(0, len(fact) - 1))
        flip = data.draw(st.integers(1, 255))
        changed = fact[:at] + bytes([fact[at] ^ flip]) + fact[at + 1 :]
    entries[index] = msgspec.structs.replace(entries[index], fact=changed)
    with pytest.raises(IntegrityError, match=f"entry {index + 1} was changed"):
        verify(entries)


@given(FACTS, st.data())
def test_any_other_field_is_covered_too(
    facts: list[tuple[bytes, str, str | None]], data: st.DataObject
) -> None:
    entries = chain_of(facts)
    index = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[index]
    changes: dict[str, object] = {
        "at": entry.at + 1,
        "actor": entry.actor + "x",
        "key": "" if entry.key is None else None,
        "prev": "f" * 64,
        "sha256": "f" * 64,
        "seq": entry.seq + 1,
    }
    field = data.draw(st.sampled_from(sorted(changes)))
    entries[index] = msgspec.structs.replace(entry, **{field: changes[field]})
    with pytest.raises(IntegrityError):
        verify(entries)


@given(FACTS)
def test_moving_a_byte_between_fields_makes_another_hash(
    facts: list[tuple[bytes, str, str | None]],
) -> None:
    """Without length prefixes, actor `ab` and key `c` would hash like actor `a` and key `bc`."""
    _, actor, key = facts[0]
    one = seal(seq=1, at=1, actor=actor + "x", key=key or "", fact=b"f", prev=GENESIS)
    two = seal(seq=1, at=1, actor=actor, key="x" + (key or ""), fact=b"f", prev=GENESIS)
    assert one.sha256 != two.sha256


@given(
    st.lists(
        st.builds(
            Posting,
            account=st.sampled_from("abc"),
            minor=st.integers(-(10**12), 10**12),
            currency=st.sampled_from(["USD", "EUR"]),
        ),
        max_size=8,
    )
)
def test_exactly_the_sets_that_sum_to_zero_are_balanced(postings: list[Posting]) -> None:
    sums = {
        currency: sum(p.minor for p in postings if p.currency == currency)
        for currency in ("USD", "EUR")
    }
    if any(sums.values()):
        with pytest.raises(IntegrityError, match="off balance"):
            require_balanced(postings)
    else:
        require_balanced(postings)


@given(st.integers(-(10**15), 10**15))
def test_every_transfer_balances(minor: int) -> None:
    require_balanced(transfer("a", "b", minor, "USD"))
