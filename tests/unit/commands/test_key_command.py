"""Keys and projects: scopes, rotation with overlap, and what a customer may do by itself."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.commands.signed_book import signed_book

from quartermaster.book.store import Book
from quartermaster.commands import key as keys
from quartermaster.commands import limit, project, standing
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.publish import build_snapshot
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.errors import (
    CallerError,
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.limit import Limits, Throttle
from quartermaster.kernel.snapshot import KeyGrant

NOW = Instant(1_000 * US_PER_HOUR)
DAY = 24 * US_PER_HOUR
PEPPER = b"p" * 32
ACME = Actor("customer:acme", ("customer",), "acme")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with signed_book(tmp_path, NOW, {"acme": "acme", "globex": "globex"}) as book:
        yield book


def issue(book: Book, actor: Actor = OPERATOR, contract: str = "acme", **scope: Any) -> str:
    made = keys.issue(book, actor, contract=contract, pepper=PEPPER, now=NOW, **scope)
    return made.key_id


def rotate(book: Book, key_id: str, hours: int = 24, actor: Actor = OPERATOR) -> str:
    overlap = hours * US_PER_HOUR
    return keys.rotate(
        book, actor, key_id, overlap_us=overlap, pepper=PEPPER, now=NOW
    ).key_id  # fmt: skip


def grants(book: Book, now: int = NOW) -> dict[str, KeyGrant]:
    return {one.key_id: one for one in build_snapshot(book.view(), Instant(now), 1).keys}


def test_scopes_reach_the_gateways_and_networks_are_written_in_one_way(book: Book) -> None:
    key_id = issue(
        book,
        endpoints=("embeddings",),
        networks=("203.0.113.0/24", "2001:DB8::/32", "198.51.100.7"),
    )
    grant = grants(book)[key_id]
    assert grant.endpoints == ("embeddings",)
    assert grant.networks == ("203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32")


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ({"endpoints": ("chat",)}, "endpoints"),
        ({"networks": ("10.0.0.1/8",)}, "networks"),
        ({"networks": ("everywhere",)}, "networks"),
        ({"networks": tuple(f"10.0.0.{n}" for n in range(101))}, "networks"),
        ({"models": ()}, "models"),
        ({"expires_at": NOW}, "expires_at"),
    ],
)
def test_a_scope_that_means_nothing_is_refused_by_name(
    book: Book, scope: dict[str, Any], field: str
) -> None:
    with pytest.raises(UsageError) as refused:
        issue(book, **scope)
    assert refused.value.field == field


def test_a_rotated_key_works_beside_its_successor_until_the_overlap_ends(book: Book) -> None:
    before = issue(book, models=("m",), networks=("10.0.0.0/8",))
    limits = Limits(requests_per_minute=60)
    limit.set_limits(book, OPERATOR, limit.Limited("key", before, limits), NOW)
    after = rotate(book, before)
    both = grants(book)
    assert both.keys() == {before, after}
    assert both[before].expires_at == NOW + DAY
    old, new = both[before], both[after]
    assert (new.models, new.networks, new.limits) == (old.models, old.networks, limits)
    assert new.key_hash != old.key_hash
    assert new.expires_at is None
    assert grants(book, NOW + DAY).keys() == {after}
    with pytest.raises(ConflictError, match=after):
        rotate(book, before)


def test_a_rotation_never_prolongs_a_key(book: Book) -> None:
    key_id = issue(book, expires_at=NOW + US_PER_HOUR)
    after = rotate(book, key_id)
    ends = {one.expires_at for one in grants(book).values()}
    assert ends == {NOW + US_PER_HOUR}
    assert grants(book, NOW + US_PER_HOUR) == {}
    keys.revoke(book, OPERATOR, after, "lost", NOW)
    with pytest.raises(ConflictError, match="stopped"):
        rotate(book, after)


@pytest.mark.parametrize("hours", [-1, 24 * keys.OVERLAP_DAYS_MAX + 1])
def test_an_overlap_has_bounds_and_none_at_all_stops_the_key_at_once(
    book: Book, hours: int
) -> None:
    key_id = issue(book)
    with pytest.raises(UsageError):
        rotate(book, key_id, hours)
    assert grants(book).keys() == {key_id}
    assert grants(book).keys() != {rotate(book, key_id, 0)}
    assert key_id not in grants(book)


def test_a_throttled_key_does_not_shake_it_off_by_rotation(book: Book) -> None:
    key_id = issue(book)
    standing.change(
        book, OPERATOR, "acme", "throttled", "r", NOW, weight=standing.RevenueShare(Decimal(0)),
        sign_off_share=Decimal(1), throttle=Throttle(keys=(key_id,)),
    )  # fmt: skip
    second = rotate(book, key_id, actor=ACME)
    third = rotate(book, second, actor=ACME)
    throttles = build_snapshot(book.view(), NOW, 1).throttles
    assert throttles["acme"].keys == (key_id, second, third)
    with pytest.raises(ConflictError, match="throttled"):
        issue(book, ACME)


def test_a_customer_manages_its_own_keys_and_sees_no_others(book: Book) -> None:
    theirs = issue(book, contract="globex")
    own = issue(book, ACME)
    after = rotate(book, own, actor=ACME)
    keys.revoke(book, ACME, after, "unused", NOW)
    strange: list[tuple[Any, type[CallerError]]] = [
        (lambda: issue(book, ACME, "globex"), NotFoundError),
        (lambda: rotate(book, theirs, actor=ACME), NotFoundError),
        (lambda: keys.revoke(book, ACME, theirs, "r", NOW), NotFoundError),
        (lambda: issue(book, Actor("usr_f", ("finance",))), NotAllowedError),
        (lambda: issue(book, Actor("customer:", ("customer",))), NotAllowedError),
    ]
    for act, error in strange:
        with pytest.raises(error):
            act()
    assert theirs in grants(book)


def test_a_project_holds_keys_until_it_is_archived(book: Book) -> None:
    with pytest.raises(NotFoundError, match="chat"):
        issue(book, project="chat")
    project.add(book, ACME, customer="acme", project="chat", name="Chat", now=NOW)
    key_id, other = issue(book, project="chat"), issue(book)
    assert grants(book)[key_id].project == "chat"
    with pytest.raises(NotFoundError):
        issue(book, contract="globex", project="chat")
    project.archive(book, ACME, customer="acme", project="chat", reason="over", now=NOW)
    assert grants(book).keys() == {other}
    with pytest.raises(ConflictError):
        issue(book, project="chat")
    with pytest.raises(ConflictError):
        project.archive(book, OPERATOR, customer="acme", project="chat", reason="r", now=NOW)
    (found,) = project.all_of(book.view(), "acme")
    assert (found.added.name, found.archived_at) == ("Chat", NOW)


def test_a_customer_has_no_say_in_projects_of_others(book: Book) -> None:
    with pytest.raises(NotAllowedError):
        project.add(book, ACME, customer="globex", project="x", name="X", now=NOW)
    with pytest.raises(NotAllowedError):
        project.archive(book, ACME, customer="globex", project="x", reason="r", now=NOW)
    with pytest.raises(UsageError):
        project.add(book, ACME, customer="acme", project="default", name="D", now=NOW)
    with pytest.raises(NotFoundError):
        project.add(book, OPERATOR, customer="nobody", project="x", name="X", now=NOW)
