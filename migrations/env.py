"""The one Alembic environment of kernel and plugins; `dougong.db.migrator` sets its attributes."""

from alembic import context

attributes = context.config.attributes
options = {
    "target_metadata": attributes["metadata"],
    "include_schemas": True,
    "version_table": "alembic_version",
    "version_table_schema": attributes["schema"],
    "transactional_ddl": False,
}
if context.is_offline_mode():
    context.configure(
        url="postgresql+psycopg://",
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **options,
    )
else:
    context.configure(connection=attributes["connection"], **options)
context.run_migrations()
