"""OpenMP on a system without it: fetched from a real index by a real pip, verified, and lent."""

import ctypes
import hashlib
import zipfile
from pathlib import Path

import pytest

from quartermaster.kernel.errors import DataError, UnavailableError
from quartermaster.model import openmp
from quartermaster.model.openmp import FOLDER, LIBRARY_NAME, lend, provide

NAME = "libgomp-0123abcd.so.1.0.0"
CONTENT = b"\x7fELF and " + NAME.encode() + b"\0 and more"
OWN = b"\x7fELF and libgomp.so.1\0" + bytes(len(NAME) - len(LIBRARY_NAME)) + b" and more"


@pytest.fixture(autouse=True)
def bare_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without the library, on a processor whose wheels carry the stand-in."""
    carried = openmp._Carried(NAME, hashlib.sha256(OWN).hexdigest())
    monkeypatch.setattr(openmp, "CARRIED", {"riscv": carried})
    monkeypatch.setattr("platform.machine", lambda: "riscv")
    monkeypatch.setattr(openmp, "system_has_it", lambda: False)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with one wheel, and nothing else to fetch from."""
    info = "pykdtree-1.4.3.dist-info"
    with zipfile.ZipFile(tmp_path / "pykdtree-1.4.3-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{FOLDER}/{NAME}", CONTENT)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: pykdtree\nVersion: 1.4.3\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    place.mkdir()
    return place


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_it_is_fetched_once_and_gets_its_own_name_back(index: Path, folder: Path) -> None:
    said: list[str] = []
    provide(folder, say=said.append, online=True)
    assert (folder / LIBRARY_NAME).read_bytes() == OWN
    assert names(folder) == [LIBRARY_NAME]
    assert "lacks libgomp.so.1" in said[0]
    assert "verified" in said[-1]
    said.clear()
    provide(folder, say=said.append, online=True)
    assert said == []


def test_a_damaged_one_is_fetched_again_and_not_lent(
    index: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / LIBRARY_NAME).write_bytes(b"something else")
    lent: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda path, mode: lent.append(path))
    lend(folder)
    assert lent == []
    provide(folder, say=lent.append, online=True)
    lent.clear()
    lend(folder)
    assert lent == [str(folder / LIBRARY_NAME)]


def test_another_file_than_the_pinned_one_is_refused(
    index: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openmp, "CARRIED", {"riscv": openmp._Carried(NAME, "0" * 64)})
    with pytest.raises(DataError, match="another libgomp") as refused:
        provide(folder, say=lambda _: None, online=True)
    assert "apt-get install libgomp1" in refused.value.hint
    monkeypatch.setattr(openmp, "CARRIED", {"riscv": openmp._Carried("libgomp-9.so", "0" * 64)})
    with pytest.raises(DataError, match="holds no"):
        provide(folder, say=lambda _: None, online=True)
    assert names(folder) == []


def test_what_cannot_be_fetched_is_said_with_the_systems_remedy(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    provide(folder, say=said.append, online=False)
    monkeypatch.setattr("platform.machine", lambda: "vax")
    provide(folder, say=said.append, online=True)
    assert len(said) == 2
    assert all("apt-get install libgomp1" in line for line in said)
    monkeypatch.setattr("platform.machine", lambda: "riscv")
    for variable in ("PIP_NO_INDEX", "UV_OFFLINE", "UV_NO_INDEX"):
        monkeypatch.setenv(variable, "1")
    for variable in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(variable, str(folder))
    with pytest.raises(UnavailableError) as refused:
        provide(folder, say=said.append, online=True)
    assert "apt-get install libgomp1" in refused.value.hint


def test_a_system_that_has_it_keeps_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "system_has_it", lambda: True)
    said: list[str] = []
    provide(folder, say=said.append, online=True)
    lend(folder)
    assert (said, names(folder)) == ([], [])
