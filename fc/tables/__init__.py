"""The tables: Piccolo classes, migrations, and the queries that more than one slice needs."""
