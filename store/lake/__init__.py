"""DuckLake itself: catalogs, files, commits under one lock, views, read-only SQL and time travel.

Not here: what any table holds (`schemas.tables`), and the SQL that fills them (the other packages of the store).
"""
