"""Push certificates as an administrator brings them: what one must be, and when its end is to be told. Pure."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID, ObjectIdentifier

from shared.errors import Invalid

TOPIC_PREFIX = "com.apple.mgmt."
WARN_DAYS = (60, 30, 14, 7, 1)

_DEVELOPMENT = ObjectIdentifier("1.2.840.113635.100.6.3.1")  # Apple's marks: for the sandbox, for production
_PRODUCTION = ObjectIdentifier("1.2.840.113635.100.6.3.2")


@dataclass(frozen=True, slots=True)
class ReadCertificate:
    """A certificate that was found good, with its key, both as plain PEM."""

    topic: str
    certificate_pem: bytes
    private_key_pem: bytes
    not_before: datetime
    not_after: datetime


def read_certificate(certificate_pem: str, private_key_pem: str, *, now: datetime) -> ReadCertificate:
    """Read and check a push certificate with its unencrypted key.

    The key is the certificate's, the subject's UID is an MDM topic, it is valid now, and not for the sandbox alone.
    Raises Invalid, naming the field.
    """
    certificate = _certificate(certificate_pem)
    key = _key(private_key_pem)
    if key.public_key() != certificate.public_key():
        raise _invalid("private_key_pem", "this is not the certificate's key")
    topics = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.USER_ID)]
    if len(topics) != 1 or not topics[0].startswith(TOPIC_PREFIX):
        raise _invalid(
            "certificate_pem", f"the subject's UID must be one topic beginning with {TOPIC_PREFIX}"
        )
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise _invalid("certificate_pem", "the certificate is not valid now")
    marks = {each.oid for each in certificate.extensions}
    if _DEVELOPMENT in marks and _PRODUCTION not in marks:
        raise _invalid("certificate_pem", "this certificate is for Apple's sandbox; MDM needs production")
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ReadCertificate(
        topics[0],
        certificate.public_bytes(serialization.Encoding.PEM),
        plain,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def warning_due(not_after: datetime, *, days_told: int | None, now: datetime) -> int | None:
    """Return the warning to be told now (60, 30, 14, 7 or 1 days), None if it was told or none is due."""
    left = (not_after - now).total_seconds() / 86_400
    reached = [days for days in WARN_DAYS if left <= days]
    if not reached or (days_told is not None and days_told <= reached[-1]):
        return None
    return reached[-1]


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, x509.InvalidVersion):
        raise _invalid("certificate_pem", "this is no PEM certificate") from None


def _key(pem: str) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise _invalid("private_key_pem", "the key is encrypted: give it without a password") from None
    except ValueError:
        raise _invalid("private_key_pem", "this is no PEM private key") from None


def _invalid(field: str, why: str) -> Invalid:
    return Invalid("invalid", f"cannot be used: {field}", fields={field: why})
