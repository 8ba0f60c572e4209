"""Keyed watermark functions and per-token scores.

Takes: a key, a context of token ids.
Gives: scores for the sampler and for the detector.
Never: know a customer.
Invariant: the same key and context give the same score everywhere.
"""
