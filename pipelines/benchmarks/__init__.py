"""Public benchmarks: our own ensemble evaluated on published rows and splits, compared with published figures.

Not here: the ensemble and the methods (`pipelines.learning`), and how results are printed (`pipelines.cli`).
"""
