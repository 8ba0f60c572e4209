"""Limits: who may set them, what cannot be one, and what the gateways get to know."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.commands.conftest import Typed
from tests.unit.commands.signed_book import signed_book

from quartermaster.book.store import Book
from quartermaster.commands import key as keys
from quartermaster.commands import project as projects
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.limit import (
    Limited,
    all_limits,
    limits_of,
    remove_limits,
    set_limits,
)
from quartermaster.commands.publish import build_snapshot
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.limit import LIMIT_MAX, Limits, LimitScope
from quartermaster.kernel.snapshot import decode, encode

NOW = Instant(1_000 * US_PER_HOUR)
TRUST = Actor("usr_trust", ("trust",))
SIXTY = Limits(requests_per_minute=60, tokens_per_minute=10_000, concurrent=4)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with signed_book(tmp_path, NOW, {"acme": "c"}) as book:
        yield book


def test_limits_reach_the_snapshot_of_the_gateways(book: Book, key_id: str) -> None:
    shared, search = Limits(concurrent=9), Limits(concurrent=5)
    set_limits(book, OPERATOR, Limited("key", key_id, SIXTY), NOW)
    set_limits(book, TRUST, Limited("group", "acme", shared), NOW, reason="too fast")
    projects.add(book, OPERATOR, customer="acme", project="search", name="Search", now=NOW)
    set_limits(book, TRUST, Limited("project", "acme/search", search), NOW)
    snapshot = decode(encode(build_snapshot(book.view(), NOW, 1)))
    assert [grant.limits for grant in snapshot.keys] == [SIXTY]
    assert snapshot.group_limits == {"acme": shared}
    assert snapshot.project_limits == {"acme/search": search}
    assert [one.scope for one in all_limits(book.view())] == ["group", "key", "project"]


def test_new_limits_replace_all_there_were_and_can_be_lifted(book: Book, key_id: str) -> None:
    set_limits(book, OPERATOR, Limited("key", key_id, SIXTY), NOW)
    fewer = Limited("key", key_id, Limits(concurrent=1))
    set_limits(book, OPERATOR, fewer, NOW)
    assert limits_of(book.view(), "key", key_id) == fewer
    remove_limits(book, OPERATOR, "key", key_id, NOW)
    assert build_snapshot(book.view(), NOW, 1).keys[0].limits is None
    assert all_limits(book.view()) == []
    with pytest.raises(NotFoundError, match="has no limits"):
        remove_limits(book, OPERATOR, "key", key_id, NOW)


def test_the_same_limits_again_write_nothing(book: Book) -> None:
    set_limits(book, OPERATOR, Limited("group", "acme", SIXTY), NOW)
    before = book.view().seq
    set_limits(book, OPERATOR, Limited("group", "acme", SIXTY), NOW)
    assert book.view().seq == before


@pytest.mark.parametrize(
    ("fields", "workers", "field"),
    [
        ({}, 1, "limits"),
        ({"requests_per_minute": 0}, 1, "requests_per_minute"),
        ({"concurrent": -3}, 1, "concurrent"),
        ({"tokens_per_minute": LIMIT_MAX + 1}, 1, "tokens_per_minute"),
        ({"output_tokens": 0}, 1, "output_tokens"),
        ({"requests_per_minute": 60, "concurrent": 3}, 4, "concurrent"),
    ],
)
def test_what_is_no_limit_is_refused_by_name(
    book: Book, fields: dict[str, int], workers: int, field: str
) -> None:
    with pytest.raises(UsageError) as caught:
        set_limits(book, OPERATOR, Limited("group", "acme", Limits(**fields)), NOW, workers=workers)
    assert caught.value.field == field
    assert caught.value.hint
    assert all_limits(book.view()) == []


def test_who_is_unknown_or_revoked_gets_no_limits(book: Book, key_id: str) -> None:
    strangers: list[tuple[LimitScope, str]] = [("key", "key_x"), ("group", key_id)]
    strangers += [("project", name) for name in ("acme", "acme/other", "other/default", "/", "")]
    for scope, name in strangers:
        with pytest.raises(NotFoundError):
            set_limits(book, OPERATOR, Limited(scope, name, SIXTY), NOW)
    keys.revoke(book, OPERATOR, key_id, "lost", NOW)
    with pytest.raises(ConflictError, match="revoked"):
        set_limits(book, OPERATOR, Limited("key", key_id, SIXTY), NOW)


def test_an_archived_project_gets_no_limits_and_loses_those_it_has(book: Book) -> None:
    projects.add(book, OPERATOR, customer="acme", project="old", name="Old", now=NOW)
    for name in ("acme/default", "acme/old"):
        set_limits(book, OPERATOR, Limited("project", name, SIXTY), NOW)
    projects.archive(book, OPERATOR, customer="acme", project="old", reason="over", now=NOW)
    with pytest.raises(ConflictError, match="archived"):
        set_limits(book, OPERATOR, Limited("project", "acme/old", Limits(concurrent=1)), NOW)
    remove_limits(book, OPERATOR, "project", "acme/old", NOW)
    assert [one.name for one in all_limits(book.view())] == ["acme/default"]


@pytest.mark.parametrize("role", ["viewer", "finance", "customer"])
def test_other_roles_may_not(book: Book, role: str) -> None:
    actor = Actor("usr_other", (role,))
    with pytest.raises(NotAllowedError):
        set_limits(book, actor, Limited("group", "acme", SIXTY), NOW)
    with pytest.raises(NotAllowedError):
        remove_limits(book, actor, "group", "acme", NOW)


# -- on the command line -----------------------------------------------------------------------


def test_how_large_one_request_may_be(quartermaster: Typed, tmp_path: Path) -> None:
    code, out, err = quartermaster(
        "limit set --group acme --output-tokens 1 --body-bytes 9 --stream-seconds 2"
    )
    words = "group acme: output tokens 1, body bytes 9, stream seconds 2\n"
    assert (code, out) == (0, words), err
    published = decode((tmp_path / "var/snapshot.json").read_bytes())
    assert published.group_limits["acme"] == Limits(output_tokens=1, body_bytes=9, stream_seconds=2)


def test_set_show_and_remove(quartermaster: Typed, tmp_path: Path) -> None:
    code, out, err = quartermaster(
        "limit set --group acme --requests-per-minute 60 --concurrent 4 --reason agreed"
    )
    assert (code, out) == (0, "group acme: requests per minute 60, concurrent 4\n"), err
    published = decode((tmp_path / "var/snapshot.json").read_bytes())
    assert published.group_limits["acme"].requests_per_minute == 60
    shown = msgspec.json.decode(quartermaster("limit show --json")[1])
    assert shown == [
        {
            "scope": "group",
            "name": "acme",
            "limits": msgspec.to_builtins(Limits(requests_per_minute=60, concurrent=4)),
        }
    ]
    assert quartermaster("limit remove --group acme")[0] == 0
    assert quartermaster("limit show --group acme")[1] == "group acme: no limits\n"
    assert decode((tmp_path / "var/snapshot.json").read_bytes()).group_limits == {}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("limit set --group acme", "no limit given"),
        ("limit set --concurrent 1", "whose limits?"),
        ("limit set --key k --group acme --concurrent 1", "one of --key, --project and --group"),
        ("limit set --key key_x --concurrent 1", "there is no key 'key_x'"),
        ("limit set --group acme --concurrent 0", "concurrent = 0 is no limit"),
        ("limit set --group acme --concurrent many", "not a valid integer"),
        ("limit remove --group acme", "group acme has no limits"),
        ("limit show --group other", "there is no group 'other'"),
    ],
)
def test_mistakes_are_named(quartermaster: Typed, line: str, says: str) -> None:
    code, out, err = quartermaster(line)
    assert code != 0
    assert says in err
    assert out == ""
