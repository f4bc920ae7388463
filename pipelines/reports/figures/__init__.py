"""The figures of the report, each drawn by one function.

Not here: the queries behind them (`pipelines.reports.queries`), and the page (`pipelines.reports.report_page`).
"""
