"""What is owed?

Takes: hourly usage at a cut, contracts and price books.
Gives: rated lines and draft invoices.
Never: use a float, divide with `/`, or round twice.
Invariant: an invoice total is the sum of its rounded lines.
"""
