"""What was used?

Takes: write-ahead frames of gateway workers.
Gives: the usage table, cuts of it, and hourly rollups.
Never: price anything; drop or double an event.
Invariant: rows of a segment in the table = usage frames of the sealed segment.
"""
