import os
from pathlib import Path

import pytest

from local.unprivileged import Account, reachable_folder, unprivileged_account

STRANGER = Account(uid=54321, gid=54321)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand folders to another account")


def test_a_stranger_enters_only_where_every_folder_on_the_way_is_open(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    ours = Account(os.geteuid(), os.getegid())
    assert ours.can_enter(inner)
    (tmp_path / "outer").chmod(0o700)
    assert not STRANGER.can_enter(inner)


@needs_root
def test_a_reachable_folder_belongs_to_the_account_and_to_nobody_else() -> None:
    account = unprivileged_account()
    assert account is not None
    folder = reachable_folder(account, name="test")
    try:
        assert account.can_enter(folder)
        assert not STRANGER.can_enter(folder)
        assert folder.stat().st_uid == account.uid
    finally:
        folder.rmdir()


def test_who_is_not_root_runs_as_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged_account() is None
