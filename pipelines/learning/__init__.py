"""Learning: one model per source, stacked into one predictor per property.

Pure functions on `samples.Samples` (numpy arrays); only `jobs` reads and writes the store. What keeps figures honest:
no split at any level separates a `group_id`; everything that is fitted (scaling, imputation, weights, calibration) is
fitted inside the training part; and a helper model that was trained on a group of the target is refused
(`leakage.LeakageError`). Not here: descriptors (`pipelines.descriptors`), serving (`pipelines.serving`).
"""
