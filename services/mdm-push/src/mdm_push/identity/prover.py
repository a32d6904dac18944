"""From a request to the device certificate behind it, or a refusal."""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from mdm_push.identity.signature import signer_of
from mdm_push.model import DeviceCertificate, DeviceRefused
from shared.clock import Clock

SIGNATURE_HEADER = "mdm-signature"
CERTIFICATE_HEADER = "client-cert"  # RFC 9440; nginx's $ssl_client_escaped_cert is read under the same name

_KNOWN_CERTIFICATES = 20_000


@dataclass(frozen=True, slots=True)
class _Proven:
    """A certificate that chains to our CA, and the span in which its whole chain is valid."""

    certificate: DeviceCertificate
    not_before: datetime


class Prover:
    """Knows the device CA, and the proxies whose word on a TLS handshake counts."""

    def __init__(
        self,
        authorities_pem: bytes,
        *,
        trusted_proxies: Sequence[IPv4Network | IPv6Network],
        clock: Clock,
    ) -> None:
        """`authorities_pem` holds one or more CA certificates. Raises ValueError when it holds none."""
        self._store = Store(x509.load_pem_x509_certificates(authorities_pem))
        self._trusted_proxies = tuple(trusted_proxies)
        self._clock = clock
        self._chain = lru_cache(maxsize=_KNOWN_CERTIFICATES)(self._chain_anew)

    def prove(self, headers: Mapping[str, str], body: bytes, *, peer: str | None) -> DeviceCertificate:
        """Return the certificate of the device that sent this. Raises DeviceRefused with the reason.

        A proxy's header counts only from TRUSTED_PROXIES; from anybody else it is not even looked at. Some proxies
        send it without a value (`::`) where the device showed them no certificate.
        """
        shown = headers.get(CERTIFICATE_HEADER, "")
        if shown.strip(": ") and self._is_trusted(peer):
            certificate = _from_header(shown)
            others: tuple[x509.Certificate, ...] = ()
        elif SIGNATURE_HEADER in headers:
            certificate, rest = signer_of(headers[SIGNATURE_HEADER], body)
            others = tuple(rest)
        else:
            raise DeviceRefused("no_identity")
        proven = self._chain(certificate, others)
        if not proven.not_before <= self._clock.now() <= proven.certificate.not_after:
            raise DeviceRefused("certificate_expired")
        return proven.certificate

    def _is_trusted(self, peer: str | None) -> bool:
        if peer is None:
            return False
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._trusted_proxies)

    def _chain_anew(self, certificate: x509.Certificate, others: tuple[x509.Certificate, ...]) -> _Proven:
        """Build the chain to the device CA (RFC 5280) for a client certificate."""
        verifier = (
            PolicyBuilder()
            .store(self._store)
            .time(self._clock.now())
            .extension_policies(ee_policy=_CLIENT_POLICY, ca_policy=ExtensionPolicy.webpki_defaults_ca())
            .build_client_verifier()
        )
        try:
            chain = verifier.verify(certificate, list(others)).chain
            return _Proven(
                DeviceCertificate(
                    hash=certificate.fingerprint(hashes.SHA256()),
                    not_after=min(each.not_valid_after_utc for each in chain),
                    names=_names(certificate),
                ),
                not_before=max(each.not_valid_before_utc for each in chain),
            )
        except (VerificationError, ValueError) as error:
            raise DeviceRefused("certificate_not_ours") from error


def _client_auth(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage) -> None:
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise ValueError("the certificate is not for clients")


_CLIENT_POLICY = ExtensionPolicy.permit_all().require_present(
    x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _client_auth
)


def _names(certificate: x509.Certificate) -> frozenset[str]:
    """Return whom a certificate names: common name and serial number of the subject, alternative DNS names and URIs."""
    subject = certificate.subject
    names = [
        str(each.value)
        for kind in (NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER)
        for each in subject.get_attributes_for_oid(kind)
    ]
    with contextlib.suppress(x509.ExtensionNotFound):
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += others.get_values_for_type(x509.DNSName)
        names += [
            uri.removeprefix("urn:uuid:")
            for uri in others.get_values_for_type(x509.UniformResourceIdentifier)
        ]
    return frozenset(name.lower() for name in names)


def _from_header(value: str) -> x509.Certificate:
    """Read `:<Base64 of DER>:` (RFC 9440, 2.1) or URL-escaped PEM. Raises DeviceRefused (`bad_header`)."""
    try:
        if value.startswith(":") and value.endswith(":"):
            return x509.load_der_x509_certificate(base64.b64decode(value[1:-1], validate=True))
        return x509.load_pem_x509_certificate(unquote(value).encode())
    except (ValueError, x509.InvalidVersion) as error:
        raise DeviceRefused("bad_header") from error
