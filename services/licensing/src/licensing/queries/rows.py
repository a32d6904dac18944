"""What a list holds."""

from collections.abc import Sequence

import sqlalchemy as sa

Rows = Sequence[sa.RowMapping]
