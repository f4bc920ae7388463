"""Training sets: selected, frozen, named and described by manifests.

Not here: splitting and scaling (`pipelines.learning`), and publishing (`pipelines.serving`).
"""
