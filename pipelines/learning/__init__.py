"""Learning: one model per source, stacked into one predictor per property.

Pure functions on `samples.Samples` (numpy). Nothing here reads the store, knows Dagster, or touches a file, save
`persistence`. What keeps the numbers honest: no `group_id` ever straddles a split, at any level; every fitted thing
(scaling, imputing, weights, calibration) is fitted inside the training part; and a helper model that has seen a
target composition is refused (`errors.LeakageError`).
"""
