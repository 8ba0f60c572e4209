"""The snapshot file is replaced whole, and equal snapshots have equal bytes."""

from pathlib import Path

import pytest

from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.snapshot import Deployment, KeyGrant, Snapshot, decode, encode, write

GRANT = KeyGrant("k", "00", "acme", "acme", "default", "c", 1, "list", 1, "bill_delivered")
SNAPSHOT = Snapshot(
    version=3,
    published_at=5,
    keys=(GRANT,),
    standing={"b": "warned", "a": "suspended"},
    deployments=(Deployment("d", "m", "http://127.0.0.1/v1", "m"),),
)


def test_a_snapshot_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "snapshot.json"
    write(path, SNAPSHOT)
    assert decode(path.read_bytes()) == SNAPSHOT
    write(path, Snapshot(version=4, published_at=6))
    assert decode(path.read_bytes()).version == 4
    assert [entry.name for entry in path.parent.iterdir()] == ["snapshot.json"]


def test_the_order_of_a_dictionary_does_not_change_the_bytes() -> None:
    other = Snapshot(
        version=3,
        published_at=5,
        keys=SNAPSHOT.keys,
        standing={"a": "suspended", "b": "warned"},
        deployments=SNAPSHOT.deployments,
    )
    assert encode(other) == encode(SNAPSHOT)


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b'{"version": "x", "published_at": 1}'])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="cannot be read"):
        decode(data)
