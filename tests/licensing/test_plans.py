"""How PostgreSQL goes about what every set asks: plans are made while tables are small, and kept while they grow."""

import pytest

from licensing.store.licenses import _OF_PEOPLE, _OF_TARGETS
from shared.database import Database


@pytest.mark.parametrize(
    ("question", "nothing"),
    [(_OF_TARGETS, "'{}', '{}', '{}'"), (_OF_PEOPLE, "'{}', '{}'")],
    ids=["of_targets", "of_people"],
)
async def test_what_is_known_of_a_set_is_never_sought_in_the_whole_table(
    database: Database, question: str, nothing: str
) -> None:
    async with database.transaction() as tx:
        await tx.raw.execute(
            "TRUNCATE license, intent CASCADE"
        )  # small is what this is about, not what others left
        await tx.raw.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await tx.raw.execute(f"PREPARE known AS {question}")
        plan = "\n".join(row[0] for row in await tx.raw.fetch(f"EXPLAIN EXECUTE known ({nothing})"))
        await tx.raw.execute("DEALLOCATE known")
    assert "Index Scan" in plan
    assert "Seq Scan on license" not in plan
