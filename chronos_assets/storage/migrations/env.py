"""Called by Alembic: runs the migrations on the connection that `storage.migrate` has opened, in its transaction."""

from alembic import context

from chronos_assets.storage.migrate import VERSION_TABLE
from chronos_assets.storage.postgres_schema import METADATA, is_ours

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    include_object=is_ours,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
