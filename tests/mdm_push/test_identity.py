import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from local.simulators.authority import Authority, Identity
from mdm_push.identity import Prover
from mdm_push.model import DeviceRefused
from shared.clock import TurnedClock

Digest = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

BODY = b"<?xml version='1.0'?><plist><dict/></plist>"
PROXY = "10.0.0.7"
AUTHORITY = Authority.create("devices")


def prover(clock: TurnedClock | None = None) -> Prover:
    return Prover(
        AUTHORITY.certificate_pem,
        trusted_proxies=[ip_network("10.0.0.0/24")],
        clock=clock or TurnedClock(datetime.now(UTC)),
    )


def signature(
    identity: Identity,
    body: bytes = BODY,
    *options: pkcs7.PKCS7Options,
    algorithm: Digest | None = None,
) -> dict[str, str]:
    key = serialization.load_pem_private_key(identity.private_key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    der = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(body)
        .add_signer(
            x509.load_pem_x509_certificate(identity.certificate_pem), key, algorithm or hashes.SHA256()
        )
        .sign(
            serialization.Encoding.DER,
            [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, *options],
        )
    )
    return {"mdm-signature": base64.b64encode(der).decode()}


def rsa_device(subject: x509.Name | None = None, *others: x509.ExtensionType) -> Identity:
    key = rsa.generate_private_key(65537, 2048)
    issued = x509.load_pem_x509_certificate(AUTHORITY.issue_device(common_name="x").certificate_pem)
    builder = x509.CertificateBuilder(
        issuer_name=issued.issuer,
        subject_name=subject or issued.subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=issued.not_valid_before_utc,
        not_valid_after=issued.not_valid_after_utc,
        extensions=list(issued.extensions),
    )
    for other in others:
        builder = builder.add_extension(other, critical=False)
    certificate = builder.sign(AUTHORITY.private_key, hashes.SHA256())
    return Identity(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def fingerprint(identity: Identity) -> bytes:
    return x509.load_pem_x509_certificate(identity.certificate_pem).fingerprint(hashes.SHA256())


def der(identity: Identity) -> str:
    certificate = x509.load_pem_x509_certificate(identity.certificate_pem)
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


def test_a_device_is_named_by_what_the_authority_wrote_into_its_certificate() -> None:
    subject = [
        x509.NameAttribute(NameOID.COMMON_NAME, "UDID-1"),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "C02X"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A school"),
    ]
    others = x509.SubjectAlternativeName(
        [
            x509.DNSName("udid-2"),
            x509.UniformResourceIdentifier("urn:uuid:UDID-3"),
            x509.RFC822Name("ada@example.com"),
        ]
    )
    named = rsa_device(x509.Name(subject), others)
    proven = prover().prove(signature(named), BODY, peer=None)
    assert proven.names == {"udid-1", "c02x", "udid-2", "udid-3"}


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_a_signature_proves_the_device(algorithm: Digest) -> None:
    device = AUTHORITY.issue_device(common_name="one")
    proven = prover().prove(signature(device, algorithm=algorithm), BODY, peer=None)
    assert proven.hash == fingerprint(device)


def test_rsa_devices_prove_themselves_too_and_so_do_signatures_without_attributes() -> None:
    device = rsa_device()
    assert prover().prove(signature(device), BODY, peer=None).hash == fingerprint(device)
    plain = signature(device, BODY, pkcs7.PKCS7Options.NoAttributes)
    assert prover().prove(plain, BODY, peer=None).hash == fingerprint(device)


def test_a_signature_covers_the_exact_body() -> None:
    headers = signature(AUTHORITY.issue_device(common_name="one"))
    with pytest.raises(DeviceRefused, match="bad_signature"):
        prover().prove(headers, BODY + b" ", peer=None)


def test_a_certificate_of_another_authority_is_not_ours() -> None:
    stranger = Authority.create("devices").issue_device(common_name="one")
    with pytest.raises(DeviceRefused, match="certificate_not_ours"):
        prover().prove(signature(stranger), BODY, peer=None)


def test_a_server_certificate_of_our_authority_is_no_device() -> None:
    server = AUTHORITY.issue_server(hosts=["localhost"])
    with pytest.raises(DeviceRefused, match="certificate_not_ours"):
        prover().prove(signature(server), BODY, peer=None)


def test_an_expired_certificate_is_refused_also_when_it_was_good_a_moment_ago() -> None:
    clock = TurnedClock(datetime.now(UTC))
    headers = signature(AUTHORITY.issue_device(common_name="one"))
    proving = prover(clock)
    proving.prove(headers, BODY, peer=None)
    clock.turn(timedelta(days=366).total_seconds())
    with pytest.raises(DeviceRefused, match="certificate_expired"):
        proving.prove(headers, BODY, peer=None)


def test_a_proxys_header_counts_in_both_its_forms() -> None:
    device = AUTHORITY.issue_device(common_name="one")
    for value in (f":{der(device)}:", quote(device.certificate_pem.decode())):
        assert prover().prove({"client-cert": value}, BODY, peer=PROXY).hash == fingerprint(device)


@pytest.mark.parametrize("peer", ["10.0.1.7", "::1", "nonsense", None])
def test_a_header_from_anybody_else_proves_nothing(peer: str | None) -> None:
    device = AUTHORITY.issue_device(common_name="one")
    with pytest.raises(DeviceRefused, match="no_identity"):
        prover().prove({"client-cert": f":{der(device)}:"}, BODY, peer=peer)


@pytest.mark.parametrize("value", ["", ":", "::"])
def test_a_proxy_that_saw_no_certificate_leaves_the_proof_to_the_signature(value: str) -> None:
    device = AUTHORITY.issue_device(common_name="one")
    proven = prover().prove({**signature(device), "client-cert": value}, BODY, peer=PROXY)
    assert proven.hash == fingerprint(device)
    with pytest.raises(DeviceRefused, match="no_identity"):
        prover().prove({"client-cert": value}, BODY, peer=PROXY)


@pytest.mark.parametrize("value", [":###:", "garbage", ":AAAA:", "%00"])
def test_a_broken_header_is_refused(value: str) -> None:
    with pytest.raises(DeviceRefused, match="bad_header"):
        prover().prove({"client-cert": value}, BODY, peer=PROXY)


@settings(deadline=None, max_examples=200)
@given(position=st.integers(min_value=0, max_value=10_000), bit=st.integers(min_value=0, max_value=7))
def test_no_changed_bit_of_a_signature_makes_somebody_else_of_it(position: int, bit: int) -> None:
    changed = bytearray(base64.b64decode(SIGNED["mdm-signature"]))
    changed[position % len(changed)] ^= 1 << bit
    header = {"mdm-signature": base64.b64encode(changed).decode()}
    try:
        proven = prover().prove(header, BODY, peer=None)
    except DeviceRefused:
        return
    assert proven.hash == fingerprint(SIGNER)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_as_signature_are_refused(noise: bytes) -> None:
    with pytest.raises(DeviceRefused):
        prover().prove({"mdm-signature": base64.b64encode(noise).decode()}, BODY, peer=None)


SIGNER = AUTHORITY.issue_device(common_name="signer")
SIGNED = signature(SIGNER)
