"""The key pepper's file."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from quartermaster.book.pepper import load_pepper
from quartermaster.kernel.errors import ConfigError


def test_the_pepper_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "key_pepper"
    pepper = load_pepper(path)
    assert len(pepper) == 32
    assert load_pepper(path) == pepper
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["key_pepper"]


def test_competing_starts_agree_on_one_pepper(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        peppers = set(pool.map(load_pepper, [tmp_path / "key_pepper"] * 16))
    assert len(peppers) == 1


def test_a_pepper_that_others_can_read_or_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key_pepper"
    load_pepper(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="read by others"):
        load_pepper(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes"):
        load_pepper(path)
