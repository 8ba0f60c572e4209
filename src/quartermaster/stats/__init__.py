"""What do these numbers say?

Takes: arrays.
Gives: estimates with their intervals, each stating its assumptions.
Never: know a customer, a contract or a currency.
Invariant: a stated guarantee is checked by simulation.
"""
