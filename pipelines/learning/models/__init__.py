"""Regressors and classifiers behind one interface, and the models of single sources.

Not here: how they are stacked (`pipelines.learning.stack`).
"""
