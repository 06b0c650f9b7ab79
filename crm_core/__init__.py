"""The pipeline's core: leads, customers, opportunities, offers and the numbers drawn from them.

It knows no screen. Everything public is `verb(conn, actor, ...)`; the caller opens the
transaction (`database.Database.read()` or `.write()`), one command each.
"""
