"""What does a person want to see?

Takes: rooms' answers through ports handed over by `app`.
Gives: pages and figures, German and English.
Never: compute a number in a template or a browser; load anything from another host.
Invariant: every route is denied until a role allows it.
"""
