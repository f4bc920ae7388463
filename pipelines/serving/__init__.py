"""Answers and exports: predictions for new formulas, and published training sets.

Not here: training (`pipelines.learning`), and how answers are printed (`pipelines.cli`).
"""
