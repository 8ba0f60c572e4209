"""Quartermaster: serve, meter, bill, and know how much hangs on one customer."""

__version__ = "0.1.0"
