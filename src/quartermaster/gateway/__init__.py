"""May this request pass, where does it go, what did it cost?

Takes: HTTP requests of customers and one immutable snapshot.
Gives: relayed answers, usage frames and refusals.
Never: open SQL, import numpy, or release a last byte before its close record is durable.
Invariant: one admitted attempt leaves exactly one usage row.
"""
