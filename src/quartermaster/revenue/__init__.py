"""What was earned, and how fast does it grow?

Takes: rated lines and guidance.
Gives: run-rate, growth and bridges.
Never: compare growth across bases or metric versions.
Invariant: parts of a bridge sum to its whole.
"""
