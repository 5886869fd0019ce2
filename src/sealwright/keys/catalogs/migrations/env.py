"""Runs the migrations on the connection that sql_schema hands over."""

from alembic import context

with context.config.attributes["connection"].begin():
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    context.run_migrations()
