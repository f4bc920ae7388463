"""Contracts drafted for files that have none.

Not here: how files are read (`pipelines.ingest.readers`), and what a contract says (`schemas.contracts`).
"""
