"""FC as a Piccolo app: its tables and the folder of its migrations."""

from piccolo.conf.apps import AppConfig, table_finder

from fc.base.paths import shipped

MODULES = [
    "fc.tables.projects",
    "fc.tables.users",
    "fc.tables.builders",
    "fc.tables.evaluations",
    "fc.tables.derivations",
    "fc.tables.builds",
    "fc.tables.build_queue",
    "fc.tables.cache_paths",
    "fc.tables.notifications",
    "fc.tables.channels",
    "fc.tables.configuration",
    "fc.tables.configuration_pauses",
    "fc.tables.configuration_drift",
    "fc.tables.configuration_previews",
    "fc.tables.pools",
    "fc.tables.roles",
    "fc.tables.audit",
]

APP_CONFIG = AppConfig(
    app_name="fc",
    migrations_folder_path=str(shipped("migrations")),
    table_classes=table_finder(MODULES, exclude_imported=True),
)
