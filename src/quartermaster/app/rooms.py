"""Open the stores that a role or a command needs, each only when it is asked for."""

import os
import pwd
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from quartermaster.kernel.clock import Instant, system_clock
from quartermaster.kernel.errors import ConfigError

if TYPE_CHECKING:
    from quartermaster.book.store import Book
    from quartermaster.commands.actor import Actor
    from quartermaster.config import Settings
    from quartermaster.usage.table import UsageTable

DATA_FOLDER_MODE = 0o700
"""Usage and key hashes are the seller's business: no other account on the machine reads them."""


class Rooms:
    """Handles to the stores; imports happen on first use so that the gateway stays light."""

    def __init__(self, settings: "Settings") -> None:
        self.settings = settings
        self.var = settings.var_path
        try:
            self.var.mkdir(mode=DATA_FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the data folder {self.var} cannot be made: {error.strerror}",
                hint="choose another one with --var",
                field="var",
            ) from error

    def now(self) -> Instant:
        """The wall clock."""
        return system_clock()

    @cached_property
    def book(self) -> "Book":
        """The book, created on first use."""
        from quartermaster.book.store import open_book

        return open_book(self.settings.book_url)

    @cached_property
    def usage(self) -> "UsageTable":
        """The usage table, created by the first shipped segment."""
        return open_usage(self.var)

    @cached_property
    def actor(self) -> "Actor":
        """Whoever runs this process: file access to the data folder is the operator's right."""
        from quartermaster.commands.actor import AT_THE_MACHINE, Actor

        return Actor(id=f"{AT_THE_MACHINE}{_account()}", roles=("admin",))


def _account() -> str:
    """The operating system's own account of this process; what its environment says can be set."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container may run under a number that has no name
        return str(number)


def open_rooms(options: Mapping[str, str | None]) -> Rooms:
    """Rooms for a command line's global options (`config_file`, `var`)."""
    from quartermaster.config import load

    settings, _ = load(options.get("config_file"), options.get("var"))
    return Rooms(settings)


def open_usage(var: Path) -> "UsageTable":
    """The usage table of a data folder."""
    from quartermaster.usage.table import UsageTable

    return UsageTable(var / "usage")
