"""Notices of standings: only who has the pepper writes them, and only later ones are obeyed."""

import pytest

from quartermaster.kernel import notice
from quartermaster.kernel.ids import PEPPER_BYTES
from quartermaster.kernel.limit import Limits, Throttle
from quartermaster.kernel.notice import Notice, Obeyed, held_to, notice_of
from quartermaster.kernel.snapshot import KeyGrant, Snapshot

PEPPER = b"p" * PEPPER_BYTES
OTHER = b"q" * PEPPER_BYTES
SAID = Notice(
    7,
    {"acme": "suspended", "globex": "throttled"},
    {"globex": Throttle(limits=Limits(requests_per_minute=3))},
    ("initech",),
    ("key_1",),
)


def grant(key_id: str) -> KeyGrant:
    return KeyGrant(key_id, "00", "c", "acme", "p", "con", 1, "list", 1, "free")


SNAPSHOT = Snapshot(5, 0, (grant("key_1"), grant("key_2")), {"hooli": "suspended"})


def test_what_was_signed_is_read_and_says_what_the_snapshot_said() -> None:
    assert notice.read(notice.sign(SAID, PEPPER), PEPPER) == SAID
    later = held_to(SNAPSHOT, SAID)
    assert notice_of(later) == SAID
    assert [one.key_id for one in later.keys] == ["key_2"]
    assert later.deployments == SNAPSHOT.deployments


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "{}",
        notice.sign(SAID, OTHER),
        notice.sign(SAID, PEPPER).replace("suspended", "active"),
        notice.sign(SAID, PEPPER)[1:],
        notice.sign(SAID, PEPPER) + " ",
        "é" * 64 + notice.sign(SAID, PEPPER)[64:],
        "\ud800" + notice.sign(SAID, PEPPER),
        notice.sign_obeyed("w", Obeyed(7, 7), PEPPER),
    ],
)
def test_what_nobody_here_signed_is_nothing(text: str) -> None:
    assert notice.read(text, PEPPER) is None


def test_a_longer_text_than_any_notice_is_not_read() -> None:
    reason = "x" * notice.NOTICE_CHARS_MAX
    assert notice.read(notice.sign(Notice(1, {}, {}, (reason,), ()), PEPPER), PEPPER) is None


@pytest.mark.parametrize("version", [5, 6, 7])
def test_an_old_notice_brings_nothing_back(version: int) -> None:
    snapshot = Snapshot(7, 0, standing={"acme": "terminated"})
    old = Notice(version, {}, {}, (), ())
    assert held_to(snapshot, old) is snapshot
    assert held_to(snapshot, None) is snapshot


def test_what_is_obeyed_is_said_by_the_worker_itself() -> None:
    said = notice.sign_obeyed("two-0.ab", Obeyed(7, 6), PEPPER)
    assert notice.read_obeyed(said, "two-0.ab", PEPPER) == Obeyed(7, 6)
    for forged in (
        said.replace("7 6.", "8 8.", 1),
        said[:-1],
        "7",
        "",
        "7 6." + "0" * 64,
        "٧" + said[1:],
    ):
        assert notice.read_obeyed(forged, "two-0.ab", PEPPER) == notice.NOTHING
    assert notice.read_obeyed(said, "two-1.ab", PEPPER) == notice.NOTHING
    assert notice.read_obeyed(said, "two-0.ab", OTHER) == notice.NOTHING
