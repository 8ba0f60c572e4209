"""How much hangs on whom?

Takes: revenue by customer and period, groups, claims.
Gives: shares, concentration figures, findings about claims, reports.
Never: show a share without its denominator.
Invariant: shares of one denominator sum to one.
"""
