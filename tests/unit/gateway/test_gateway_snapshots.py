"""Following the snapshot file, and the status file."""

from pathlib import Path

import pytest
from tests.unit.gateway.gateway_fakes import a_grant

from quartermaster.gateway.snapshots import SnapshotFollower
from quartermaster.gateway.status import read_status
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.snapshot import Deployment, Snapshot, write


def test_versions_are_taken_once_and_never_go_back(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    follower = SnapshotFollower(path, tmp_path)
    assert follower.poll() is None
    assert "No such file" in follower.error
    assert not follower.in_contact
    for version in (3, 4):
        write(path, Snapshot(version, 0, (a_grant(),)))
        index = follower.poll()
        assert index is not None
        assert index.version == version
        assert follower.error == ""
        assert follower.poll() is None
        assert follower.in_contact
    write(path, Snapshot(3, 0))
    for _ in range(2):
        assert follower.poll() is None
        assert follower.error == "version 3 is older than 4"
        assert not follower.in_contact


def test_a_file_that_was_away_for_a_moment_is_contact_again(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    follower = SnapshotFollower(path, tmp_path)
    write(path, Snapshot(3, 0))
    assert follower.poll() is not None
    path.rename(tmp_path / "away")
    assert follower.poll() is None
    assert not follower.in_contact
    (tmp_path / "away").rename(path)
    assert follower.poll() is not None
    assert (follower.in_contact, follower.error) == (True, "")


def test_a_damaged_file_is_said_and_a_good_one_after_it_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    follower = SnapshotFollower(path, tmp_path)
    path.write_bytes(b'{"version": "four"}')
    assert follower.poll() is None
    assert "cannot be read" in follower.error
    assert not follower.in_contact
    write(path, Snapshot(1, 0))
    assert follower.poll() is not None
    assert follower.error == ""


def test_secrets_come_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("sk-1\n")
    one = Deployment("a", "m", "http://h/v1", "m", "one")
    two = Deployment("b", "m", "http://h/v1", "m", "two")
    write(tmp_path / "snapshot.json", Snapshot(1, 0, (), {}, (one, two)))
    follower = SnapshotFollower(tmp_path / "snapshot.json", tmp_path)
    index = follower.poll()
    assert index is not None
    (kept,) = index.models["m"]
    assert b"authorization: Bearer sk-1\r\n" in kept.head
    assert follower.error == "deployment b: its secret file cannot be read"


def test_a_status_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=r"status\.json is not a worker status"):
        read_status(tmp_path / "status.json")
