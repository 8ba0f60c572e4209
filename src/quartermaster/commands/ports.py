"""What commands need from a store; the composition root hands in the real one."""

from contextlib import AbstractContextManager
from typing import Protocol

from quartermaster.book.unit import Unit
from quartermaster.book.views import View


class Book(Protocol):
    """Transactions over facts, postings and users."""

    def writing(self) -> AbstractContextManager[Unit]:
        """A transaction with the only write lock: what it checked is still true when it writes."""

    def reading(self) -> AbstractContextManager[Unit]:
        """A consistent reading transaction."""

    def view(self) -> View:
        """What the journal says now."""
