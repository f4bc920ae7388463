"""Feature sets and their versions, their retrieval, and memory-mapped caches of their tables.

Not here: the descriptors themselves (`pipelines.descriptors`).
"""
