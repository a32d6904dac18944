"""What all tables of licensing belong to."""

import sqlalchemy as sa

from shared.tables import bus_tables

metadata = sa.MetaData()
bus_tables(metadata)

TIME = sa.DateTime(timezone=True)
