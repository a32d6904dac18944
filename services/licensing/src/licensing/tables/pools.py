"""Assets, their pools, and what another hand gave away of them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from licensing.tables.base import TIME, metadata

asset = sa.Table(
    "asset",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("adam_id", sa.Text, nullable=False),
    sa.Column("pricing_param", sa.Text, nullable=False),
    sa.Column("is_book", sa.Boolean, nullable=False),
    sa.Column("device_assignable", sa.Boolean, nullable=False),
    sa.Column("revocable", sa.Boolean, nullable=False),
    sa.Column("platforms", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),  # of the last AssetChanged
    sa.UniqueConstraint("adam_id", "pricing_param", name="asset_pair"),
)

pool = sa.Table(
    "pool",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("library_id", sa.Text, sa.ForeignKey("library.id"), nullable=False),
    sa.Column("asset_id", sa.Uuid, sa.ForeignKey("asset.id"), nullable=False),
    # The ledger: counts of our own rows, kept with them in one transaction (promise 1).
    sa.Column("held", sa.Integer, nullable=False, server_default="0"),
    sa.Column("waiting", sa.Integer, nullable=False, server_default="0"),
    sa.Column("arrival", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("foreign_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("preferred", sa.Boolean, nullable=False, server_default=sa.false()),  # the asset's default
    # Apple's reading, kept beside it.
    sa.Column("unlimited", sa.Boolean, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("retired", sa.Integer, nullable=False),
    sa.Column("apple_available", sa.Integer, nullable=False),
    sa.Column("apple_assigned", sa.Integer, nullable=False),
    sa.Column("read_at", TIME, nullable=False),
    sa.Column("list_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("listed_at", TIME),
    sa.Column("untold", sa.Boolean, nullable=False, server_default=sa.true()),  # AssetChanged is due
    sa.UniqueConstraint("asset_id", "library_id", name="pool_of_library"),
    sa.CheckConstraint("held >= 0", name="pool_held"),
    sa.CheckConstraint("waiting >= 0", name="pool_waiting"),
    sa.Index("pool_untold", "asset_id", postgresql_where=sa.text("untold")),
)

foreign_assignment = sa.Table(
    "foreign_assignment",  # who holds a licence at Apple and has no row here: another hand gave it
    metadata,
    sa.Column("pool_id", sa.Uuid, sa.ForeignKey("pool.id"), primary_key=True),
    # A serial number; a person's user id, where we know whose client user id it is; else that as it is.
    sa.Column("holder", sa.Text, primary_key=True),
    sa.Column("of_people", sa.Boolean, primary_key=True),
)
