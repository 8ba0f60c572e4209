"""How many tokens is this text?

Takes: text and the name of an encoding or model.
Gives: a count and its `count_source`.
Never: load a vocabulary before it is asked for one; download.
Invariant: a count marked exact equals the vendor's own count.
"""
