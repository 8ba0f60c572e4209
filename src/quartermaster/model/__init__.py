"""Can the product answer with nothing else installed?

Takes: chat messages.
Gives: text from a small real model, or from a toy that says it is one, with true token counts.
Never: reach the network at run time.
Invariant: the same seed and prompt give the same tokens.
"""
