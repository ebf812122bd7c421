"""The table classes against the migrated database: Piccolo's own reading of the classes is compared."""

import ast
import inspect
import re
from pathlib import Path

import asyncpg
from piccolo.apps.migrations.tables import Migration
from piccolo.engine.postgres import PostgresEngine
from piccolo.table import Table, sort_table_classes

from fc.tables.piccolo_app import APP_CONFIG, MODULES
from tests.support.catalogue import Catalogue, differences, read_catalogue

TABLES: list[type[Table]] = [*APP_CONFIG.table_classes, Migration]
"""FC's own, and the table in which Piccolo records the migrations that ran."""


_NO_DEFAULT = re.compile(r" default NULL(::.*)?$")
"""Piccolo writes ``DEFAULT null`` where there is none; it spells now() and 0 in another way, too."""


async def create_from_classes(url: str) -> None:
    """Make the tables as Piccolo makes them from the classes."""
    engine = PostgresEngine(config={"dsn": url}, extensions=())
    connection = await asyncpg.connect(url)
    for table in sort_table_classes(TABLES):
        table._meta.db = engine
        for statement in table.create_table().ddl:
            await connection.execute(statement)
    await connection.close()


def of_tables(catalogue: Catalogue) -> Catalogue:
    """What table classes can say: tables, columns and constraints. The rest stands in migrations alone."""
    views = {key.removeprefix("view ") for key in catalogue if key.startswith("view ")}
    return {
        key: _NO_DEFAULT.sub("", definition).replace("CURRENT_TIMESTAMP", "now()").replace("0.0", "0")
        for key, definition in catalogue.items()
        if key.startswith(("table ", "column ", "constraint "))
        and not any(key.startswith(f"column {view}.") for view in views)
    }


async def test_classes_and_migrations_make_the_same_tables(
    database_url: str, empty_database_url: str
) -> None:
    await create_from_classes(empty_database_url)

    by_classes = of_tables(await read_catalogue(empty_database_url))
    by_migrations = of_tables(await read_catalogue(database_url))

    assert len([key for key in by_migrations if key.startswith("table ")]) == len(TABLES)
    assert differences(by_classes, by_migrations) == {}


async def test_a_class_that_says_something_else_is_found(database_url: str, empty_database_url: str) -> None:
    await create_from_classes(empty_database_url)
    by_classes = of_tables(await read_catalogue(empty_database_url))
    before = differences(by_classes, of_tables(await read_catalogue(database_url)))
    connection = await asyncpg.connect(database_url)
    await connection.execute("""
        ALTER TABLE users ALTER COLUMN full_name SET NOT NULL;
        ALTER TABLE users ALTER COLUMN role SET DEFAULT 'admin';
        ALTER TABLE starred_jobs ALTER COLUMN job_name TYPE varchar(100);
        ALTER TABLE roles DROP CONSTRAINT roles_role_id_key;
        ALTER TABLE roles ADD COLUMN forgotten text;
        CREATE TABLE without_class (id integer);
    """)
    await connection.close()

    found = differences(by_classes, of_tables(await read_catalogue(database_url)))

    assert sorted(found.keys() - before.keys()) == [
        "column roles.forgotten",
        "column starred_jobs.job_name",
        "column users.full_name",
        "column users.role",
        "column without_class.id",
        "constraint roles.roles_role_id_key",
        "table without_class",
    ]


def test_every_module_of_the_app_has_tables_and_no_other_module_has() -> None:
    assert {table.__module__ for table in APP_CONFIG.table_classes} == set(MODULES)
    names = [table._meta.tablename for table in TABLES]
    assert len(names) == len(set(names))
    folder = Path(inspect.getfile(APP_CONFIG.table_classes[0])).parent
    with_tables = {
        f"fc.tables.{path.stem}"
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Table" for base in node.bases)
    }
    assert with_tables == set(MODULES)


def test_every_table_and_column_says_what_it_means() -> None:
    silent = []
    for table in APP_CONFIG.table_classes:
        if not inspect.getdoc(table):
            silent.append(table._meta.tablename)
        body = ast.parse(inspect.getsource(table)).body[0]
        assert isinstance(body, ast.ClassDef)
        described = {
            target.id
            for statement, following in zip(body.body, body.body[1:], strict=False)
            if isinstance(statement, ast.Assign)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        columns = {column._meta.name for column in table._meta.columns} - {"id"}
        silent += [f"{table._meta.tablename}.{name}" for name in sorted(columns - described)]
    assert silent == []
