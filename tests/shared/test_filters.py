"""Only filters that were given narrow a list."""

import sqlalchemy as sa

from shared.filters import where


def test_a_filter_that_was_not_given_narrows_nothing() -> None:
    name, state = sa.column("name", sa.Text), sa.column("state", sa.Text)
    narrowed = where(sa.select(name), {name: "a", state: None})
    assert str(narrowed) == str(sa.select(name).where(name == "a"))
    assert str(where(sa.select(name), {state: None})) == str(sa.select(name))


def test_a_filter_by_an_expression_and_by_an_empty_value_counts() -> None:
    name = sa.column("name", sa.Text)
    shown = sa.case((name.is_(None), "none"), else_=name)
    assert "CASE" in str(where(sa.select(name), {shown: ""}).whereclause)
