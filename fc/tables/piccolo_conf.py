"""What Piccolo looks for by name: the engine and the app. Used while migrating, never at run time."""

from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

DB: PostgresEngine | None = None
"""Set while migrating: making an engine connects at once."""

APP_REGISTRY = AppRegistry(apps=["fc.tables.piccolo_app"])
