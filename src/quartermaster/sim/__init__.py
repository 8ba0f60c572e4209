"""What would a year of this business look like?

Takes: a seed and a scenario.
Gives: a sample book, labelled as sample.
Never: touch real usage.
Invariant: the same seed gives the same world.
"""
