"""The figures of the report, each a function that returns it.

Not here: the queries behind them (`pipelines.reports.queries`), and the page (`pipelines.reports.report_page`).
"""
