"""Is a customer training a rival on our outputs?

Takes: traffic features, declared use, terms.
Gives: evidence, cases, decisions with their expected cost.
Never: suspend anybody by a single score.
Invariant: every step of a case is a journal fact.
"""
