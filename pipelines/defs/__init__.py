"""Dagster's view of Matstrata: assets, checks, schedules and resources, each a few lines over the packages."""
