"""What is observed and described, parsed and identified: crystal structures and molecules.

Knows only `schemas`. Not here: compositions (`schemas.composition`), and how files are read (`pipelines.ingest`).
"""
