"""The composition root: the only package that knows every room.

Takes: settings.
Gives: opened stores, wired rooms and running processes.
Never: decide what a room should decide.
Invariant: nothing heavy is imported before the role that needs it.
"""

from quartermaster.app.rooms import Rooms, open_rooms, open_usage

__all__ = ["Rooms", "open_rooms", "open_usage"]
