"""Can it be shown?

Takes: watermark keys, served outputs, a suspect model.
Gives: tests with stated error rates, dossiers.
Never: call silence innocence.
Invariant: a p-value is valid under the stated null.
"""
