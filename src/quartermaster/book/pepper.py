"""The key pepper: 32 random bytes outside the book, so that a stolen book holds no usable hash."""

import os
import secrets
import stat
from pathlib import Path

from quartermaster.kernel.errors import ConfigError
from quartermaster.kernel.ids import PEPPER_BYTES


def load_pepper(path: Path, *, lost: str = "every customer key stops working") -> bytes:
    """The pepper in the file; created with mode 0600 where there is none.

    Args:
        path: the file.
        lost: what happens without it.

    Raises:
        ConfigError: the file has the wrong length or others can read it.
    """
    if not path.exists():
        _create(path)
    if stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others", hint=f"chmod 600 {path}")
    pepper = path.read_bytes()
    if len(pepper) != PEPPER_BYTES:
        raise ConfigError(
            f"{path} holds {len(pepper)} bytes instead of {PEPPER_BYTES}",
            hint=f"restore it from a backup: without it {lost}",
        )
    return pepper


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, secrets.token_bytes(PEPPER_BYTES))
        os.fsync(file)
    finally:
        os.close(file)
    try:
        # A link appears whole or not at all, and the first of two starting processes wins.
        path.hardlink_to(beside)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
