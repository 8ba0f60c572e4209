"""What may a program ask of the control plane?

Takes: JSON requests with a token.
Gives: JSON answers.
Never: decide.
Invariant: every route is denied until a role allows it.
"""
