"""The content ring: no frame that is read was torn, whatever the order of steps, kills included."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartermaster.kernel import ring
from quartermaster.kernel.errors import ConfigError, UsageError

pytestmark = pytest.mark.skipif(not ring.SHARED_MEMORY.is_dir(), reason="no shared memory here")
CAPACITY = ring.CAPACITY_MIN


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    found = ring.folder_of(tmp_path)
    yield found
    for left in found.glob("*"):
        left.unlink()
    if found.exists():
        found.rmdir()


def payload(number: int, length: int) -> bytes:
    """Bytes that only this frame has, so that a mixture of two is seen."""
    return random.Random(number).randbytes(length)


def attached(folder: Path) -> ring.RingReader:
    found = ring.attach(folder / f"w{ring.SUFFIX}")
    assert found is not None
    return found


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, CAPACITY // ring.FRAME_SHARE - ring.UNIT)),
        st.tuples(st.just("read"), st.integers(0, 5)),
        st.tuples(st.just("wipe"), st.integers(0, 3)),
        st.tuples(st.just("again"), st.just(0)),
    ),
    max_size=80,
)


@given(steps=STEPS)
@settings(max_examples=150, deadline=None)
def test_what_is_read_is_what_was_written_and_the_rest_is_counted(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = ring.folder_of(tmp_path_factory.mktemp("ring"))
    writer = ring.create(folder, "w", CAPACITY)
    reader = attached(folder)
    written: list[bytes] = []
    seen: list[int] = []
    now = 0.0
    try:
        for step, size in steps:
            now += 1
            if step == "write":
                written.append(payload(len(written), size))
                writer.write(len(written) % 3, written[-1])
            elif step == "wipe":
                writer.wipe(now, float(size))
            elif step == "again":
                # Another reader goes on where this one ended.
                reader.close()
                reader = attached(folder)
            else:
                for _, frame in zip(range(size), reader.frames(), strict=False):
                    assert frame.payload == written[frame.sequence]
                    assert frame.owner == (frame.sequence + 1) % 3
                    seen.append(frame.sequence)
        seen += [frame.sequence for frame in reader.frames()]
        assert seen == sorted(set(seen))
        assert reader.damaged == 0
        assert len(seen) + sum(writer.lost.values()) == len(written)
    finally:
        reader.close()
        writer.close()
        folder.rmdir()


def test_read_text_is_wiped_and_old_text_too(folder: Path) -> None:
    writer = ring.create(folder, "w", CAPACITY)
    path = folder / f"w{ring.SUFFIX}"
    reader = ring.attach(path)
    assert reader is not None
    writer.write(1, b"canary-one")
    writer.wipe(0.0, 60.0)
    assert b"canary-one" in path.read_bytes()
    assert [frame.payload for frame in reader.frames()] == [b"canary-one"]
    writer.write(1, b"canary-two")
    writer.wipe(1.0, 60.0)
    held = path.read_bytes()
    assert b"canary-one" not in held
    assert b"canary-two" in held
    writer.wipe(61.0, 60.0)
    assert b"canary-two" not in path.read_bytes()
    assert writer.lost[1] == 1
    assert list(reader.frames()) == []
    reader.close()
    writer.close()
    assert not path.exists()


def test_who_died_leaves_nothing_for_the_next(folder: Path) -> None:
    dead = ring.create(folder, "w", CAPACITY)
    dead.write(1, b"canary")
    path = folder / f"w{ring.SUFFIX}"
    reader = ring.attach(path)
    again = ring.create(folder, "w", CAPACITY)
    assert b"canary" not in path.read_bytes()
    assert reader is not None
    # The old memory is gone from the folder, but who holds it may touch it, and reads nothing.
    assert [frame.payload for frame in reader.frames()] == []
    reader.close()
    dead.close()
    assert path.exists(), "the name is the next worker's"
    again.close()
    assert not path.exists()


def test_files_are_private_and_a_stranger_s_folder_is_refused(folder: Path) -> None:
    writer = ring.create(folder, "w", CAPACITY)
    assert (folder / f"w{ring.SUFFIX}").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(UsageError):
        writer.write(0, bytes(writer.frame_bytes_max + 1))
    writer.close()
    folder.chmod(0o755)
    with pytest.raises(ConfigError):
        ring.create(folder, "w", CAPACITY)
    with pytest.raises(ConfigError):
        ring.create(folder, "w", CAPACITY + 1)


WRITER = """
import random, sys
from pathlib import Path
from quartermaster.kernel import ring
writer = ring.create(Path(sys.argv[1]), "w", ring.CAPACITY_MIN)
draw, number = random.Random(int(sys.argv[2])), 0
print("up", flush=True)
while True:
    body = random.Random(number).randbytes(64) * draw.randrange(1, 120)
    writer.write(number % 5, number.to_bytes(8, "little") + body)
    number += 1
    if number % 50 == 0:
        writer.wipe(number / 1000, 0.5)
"""


def hammered(folder: Path, seed: int, seconds: float) -> tuple[int, int]:
    """Read beside a writer that never waits and is killed; returns frames read and missed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(seed)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    reader = ring.attach(folder / f"w{ring.SUFFIX}")
    assert reader is not None
    until, read, killed = time.monotonic() + seconds, 0, False
    while True:
        for frame in reader.frames():
            number = int.from_bytes(frame.payload[:8], "little")
            unit = random.Random(number).randbytes(64)
            assert number == frame.sequence
            assert frame.payload[8:] == unit * ((len(frame.payload) - 8) // 64)
            assert frame.owner == number % 5
            read += 1
        if killed:
            break
        if time.monotonic() > until:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed = True
    process.stdout.close()
    assert reader.damaged == 0
    missed = reader.missed
    reader.close()
    return read, missed


def test_no_frame_is_torn_beside_a_writer_that_never_waits(folder: Path) -> None:
    read, missed = hammered(folder, 1, 0.7)
    assert read > 100
    assert missed > 0, "the writer was never faster: nothing was tried"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_no_frame_is_torn_beside_a_writer_that_is_killed(folder: Path, seed: int) -> None:
    read, _ = hammered(folder, seed, 0.2 + seed / 5)
    assert read > 20
