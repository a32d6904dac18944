"""A certificate authority on this machine: it signs for servers, for push certificates and for devices."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SKEW = timedelta(minutes=5)  # two clocks of one office differ by less
AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)  # as long as Apple's push certificates live

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its private key, both PEM; the key is unencrypted PKCS #8."""

    certificate_pem: bytes
    private_key_pem: bytes = field(repr=False)

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write `<name>.pem` and `<name>.key` (mode 0600) and answer their paths."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.certificate_pem)
        key.touch(mode=0o600)
        key.chmod(0o600)
        key.write_bytes(self.private_key_pem)
        return certificate, key


class Authority:
    """Signs with one EC P-256 key; `identity` is what another process needs to go on."""

    def __init__(self, certificate: x509.Certificate, private_key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.private_key = private_key

    @classmethod
    def create(cls, name: str) -> Self:
        """Make a new root whose common name is `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = _usage(signs_certificates=True)
        certificate = (
            _unsigned(subject, subject, key.public_key(), life=AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, identity: Identity) -> Self:
        """Go on with a root that was created before. Raises `TypeError` when its key is not an EC key."""
        key = serialization.load_pem_private_key(identity.private_key_pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("an authority signs with an EC key")
        return cls(x509.load_pem_x509_certificate(identity.certificate_pem), key)

    @cached_property
    def certificate_pem(self) -> bytes:
        """The root itself: what the others are told to trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def identity(self) -> Identity:
        """The root with its key, for `write` and `load`."""
        return Identity(self.certificate_pem, _key_pem(self.private_key))

    def issue_server(self, *, hosts: Sequence[str]) -> Identity:
        """Issue for a TLS server; `hosts` are DNS names and IP addresses, the first is the common name."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        return self._issue(subject, ExtendedKeyUsageOID.SERVER_AUTH, names=names)

    def issue_push(self, *, topic: str, life: timedelta = LEAF_LIFE) -> Identity:
        """Issue an MDM push certificate: its subject's UID is the topic, as Apple's portal does it."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.USER_ID, topic),
                x509.NameAttribute(NameOID.COMMON_NAME, f"APSP:{topic.rpartition('.')[2]}"),
            ]
        )
        return self._issue(subject, ExtendedKeyUsageOID.CLIENT_AUTH, life=life)

    def issue_device(
        self,
        *,
        common_name: str,
        private_key: PrivateKey | None = None,
    ) -> Identity:
        """Issue a device's identity; devices may share a `private_key`, each certificate is its own."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        return self._issue(subject, ExtendedKeyUsageOID.CLIENT_AUTH, private_key=private_key)

    def _issue(
        self,
        subject: x509.Name,
        purpose: x509.ObjectIdentifier,
        *,
        names: x509.SubjectAlternativeName | None = None,
        private_key: PrivateKey | None = None,
        life: timedelta = LEAF_LIFE,
    ) -> Identity:
        key = private_key or ec.generate_private_key(ec.SECP256R1())
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.private_key.public_key())
        builder = (
            _unsigned(subject, self.certificate.subject, key.public_key(), life=life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(issuer_key, critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.private_key, hashes.SHA256())
        return Identity(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def _unsigned(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    *,
    life: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
