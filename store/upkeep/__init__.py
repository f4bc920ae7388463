"""Maintenance, backup, migration, releases, and the doctor that looks for damage.

Not here: the commit itself (`store.lake`).
"""
