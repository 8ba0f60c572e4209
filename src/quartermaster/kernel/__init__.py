"""The words every room shares.

Takes: plain values: amounts, instants, prices, contracts, facts, snapshots.
Gives: typed, immutable values and the one error tree.
Never: import anything of ours or anything heavy; read a clock, a file or a socket.
Invariant: equal values encode to equal bytes.
"""
