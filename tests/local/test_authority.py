import asyncio
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from local.simulators.authority import Authority, Identity


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("Test authority")


def parsed(identity: Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificate(identity.certificate_pem)


def test_a_server_certificate_is_good_for_its_names_and_addresses(authority: Authority) -> None:
    certificate = parsed(authority.issue_server(hosts=["localhost", "127.0.0.1", "::1"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    policy = PolicyBuilder().store(Store([authority.certificate]))
    verifier = policy.build_server_verifier(x509.DNSName("localhost"))
    assert verifier.verify(certificate, []) == [certificate, authority.certificate]


def test_a_push_certificate_carries_its_topic_as_user_id(authority: Authority) -> None:
    topic = "com.apple.mgmt.External.8f7a5a4e-0000-4000-8000-000000000001"
    subject = parsed(authority.issue_push(topic=topic)).subject
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.USER_ID)] == [topic]


def test_a_push_certificate_may_have_ended(authority: Authority) -> None:
    certificate = parsed(authority.issue_push(topic="com.apple.mgmt.x", life=timedelta(minutes=-1)))
    assert certificate.not_valid_after_utc < datetime.now(UTC)


def test_a_device_certificate_proves_a_client_and_no_server(authority: Authority) -> None:
    certificate = parsed(authority.issue_device(common_name="device-1"))
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2")]
    policy = PolicyBuilder().store(Store([authority.certificate]))
    with pytest.raises(VerificationError):
        policy.build_server_verifier(x509.DNSName("device-1")).verify(certificate, [])


def test_devices_may_share_a_key_but_never_a_certificate(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    first = authority.issue_device(common_name="one", private_key=key)
    second = authority.issue_device(common_name="two", private_key=key)
    assert first.private_key_pem == second.private_key_pem
    assert parsed(first).serial_number != parsed(second).serial_number


def test_a_written_key_is_for_its_owner_alone(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "push.key").write_bytes(b"left open by somebody")
    certificate, key = authority.issue_push(topic="com.apple.mgmt.x").write(tmp_path, "push")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    load_pem_private_key(key.read_bytes(), password=None)
    assert certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")


def test_a_loaded_authority_goes_on_where_the_first_one_stopped(authority: Authority) -> None:
    again = Authority.load(authority.identity)
    certificate = parsed(again.issue_device(common_name="later"))
    certificate.verify_directly_issued_by(authority.certificate)


async def test_both_ends_of_a_connection_prove_themselves(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "ca.pem")
    server.load_cert_chain(*authority.issue_server(hosts=["127.0.0.1"]).write(tmp_path, "server"))
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    client.load_cert_chain(*authority.issue_device(common_name="device").write(tmp_path, "device"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        subject = writer.get_extra_info("peercert")["subject"]
        writer.write(f"{subject}\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        writer.write(b"who am I\n")
        assert b"device" in await reader.readline()
        writer.close()
        await writer.wait_closed()
