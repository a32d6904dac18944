import socket

import pytest

from local import ports


def test_free_ports_are_different_and_free() -> None:
    found = ports.free_ports(50)
    assert len(set(found)) == 50
    assert all(map(ports.is_free, found))


def test_a_port_that_is_listened_on_is_not_free_until_it_is_closed() -> None:
    port = ports.free_port()
    with socket.create_server((ports.LOOPBACK, port)):
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_it_is_said_when_there_are_not_enough_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _: False)
    with pytest.raises(OSError, match="no 2 free ports"):
        ports.free_ports(2)
