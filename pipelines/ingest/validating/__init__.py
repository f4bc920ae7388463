"""Validation by Great Expectations: the suites run, their results, and the Data Docs pages drawn from them.

Not here: the rules themselves (`schemas.expectations`, `schemas.rules`).
"""
