"""Feature sets of compositions, one module each.

Not here: the list of all sets (`pipelines.descriptors.registry`), and where they are stored (`store.features`).
"""
