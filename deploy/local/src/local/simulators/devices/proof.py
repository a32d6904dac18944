"""How a device proves who it is: by `Mdm-Signature`, or by the header of a TLS-terminating proxy."""

import base64
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from local.simulators.authority import Identity


class Proof(Protocol):
    """Gives the header that goes with one body."""

    def header(self, body: bytes) -> tuple[str, str]:
        """Name and value."""
        ...


@dataclass(frozen=True, slots=True)
class SignatureProof:
    """`Mdm-Signature`: a detached CMS signature over the exact body, the signer's certificate inside."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def header(self, body: bytes) -> tuple[str, str]:
        """Sign this body."""
        signature = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(body)
            .add_signer(self.certificate, self.private_key, hashes.SHA256())
            .sign(
                serialization.Encoding.DER,
                [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary],
            )
        )
        return "Mdm-Signature", base64.b64encode(signature).decode()


@dataclass(frozen=True, slots=True)
class HeaderProof:
    """The certificate itself, as a proxy that saw it in the TLS handshake passes it on (RFC 9440)."""

    name: str
    value: str

    def header(self, body: bytes) -> tuple[str, str]:
        """Answer the same for every body."""
        del body
        return self.name, self.value


def by_signature(identity: Identity) -> SignatureProof:
    """Sign with this identity. Raises `TypeError` when its key is neither EC nor RSA."""
    key = serialization.load_pem_private_key(identity.private_key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise TypeError("devices sign with EC or RSA keys")
    return SignatureProof(x509.load_pem_x509_certificate(identity.certificate_pem), key)


def by_header(identity: Identity, name: str) -> HeaderProof:
    """Show this identity's certificate as a structured-field byte sequence: `:<base64 DER>:`."""
    certificate = x509.load_pem_x509_certificate(identity.certificate_pem)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return HeaderProof(name, f":{base64.b64encode(der).decode()}:")
