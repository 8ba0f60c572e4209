"""What is agreed and what happened?

Takes: facts, contracts, price books, postings.
Gives: a hash-chained journal, a double-entry ledger, read views.
Never: decide; change a fact that is written.
Invariant: every posting set sums to zero and every journal entry hashes its predecessor.
"""
