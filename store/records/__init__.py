"""Sources, observations, labels and the tables of entities, with their checks.

Not here: how a commit works (`store.lake`), and descriptors (`store.features`).
"""
