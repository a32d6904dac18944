"""`Mdm-Signature`: a detached CMS signature (RFC 5652) over the exact bytes of a body, Base64.

`cryptography` makes such signatures but does not verify them, so asn1crypto reads the structure and `cryptography`
proves the signature. Whether the signer is one of our devices is decided elsewhere.
"""

import base64
import binascii
import hmac

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mdm_push.model import DeviceRefused

_LARGEST_HEADER = 64 * 1024
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - what old systems sign with; only our own CA's keys are believed anyway
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def signer_of(header: str, body: bytes) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """Return the certificate that signed this body, and the other certificates sent along.

    Exactly one signer; its digest is the body's, its signature covers the signed attributes as a DER SET (RFC 5652,
    5.4) or the body itself where there are none. Raises DeviceRefused (`bad_signature`).
    """
    try:
        signed = _signed_data(header)
        [signer] = signed["signer_infos"]
        certificates = [x509.load_der_x509_certificate(each.chosen.dump()) for each in signed["certificates"]]
        certificate = next(each for each in certificates if _is_of(signer, each))
        _prove(signer, certificate, body)
    except Exception as error:  # two parsers let nearly anything fly on hostile bytes
        raise DeviceRefused("bad_signature") from error
    return certificate, [each for each in certificates if each != certificate]


def _signed_data(header: str) -> cms.SignedData:
    if len(header) > _LARGEST_HEADER:
        raise ValueError("the header is too large")
    try:
        der = base64.b64decode(header, validate=True)
    except binascii.Error as error:
        raise ValueError("the header is no Base64") from error
    content = cms.ContentInfo.load(der, strict=True)
    if content["content_type"].native != "signed_data":
        raise ValueError("no SignedData")
    signed: cms.SignedData = content["content"]
    if signed["encap_content_info"]["content"].native is not None:
        raise ValueError("the signature is not detached")
    return signed


def _is_of(signer: cms.SignerInfo, certificate: x509.Certificate) -> bool:
    """Say whether a signer names this certificate, by issuer and serial number or by key identifier."""
    sid = signer["sid"]
    if sid.name == "issuer_and_serial_number":
        issuer = certificate.issuer.public_bytes()
        named = sid.chosen
        return bool(
            named["serial_number"].native == certificate.serial_number and named["issuer"].dump() == issuer
        )
    key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return bool(sid.chosen.native == key_id)


def _prove(signer: cms.SignerInfo, certificate: x509.Certificate, body: bytes) -> None:
    algorithm = _HASHES[signer["digest_algorithm"]["algorithm"].native]
    attributes = signer["signed_attrs"]
    covered = body
    if attributes:
        _compare_digest(attributes, body, algorithm)
        covered = attributes.untag().dump()
    signature = signer["signature"].native
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, covered, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, covered, ec.ECDSA(algorithm))
    else:
        raise TypeError("neither an RSA nor an EC key")


def _compare_digest(attributes: cms.CMSAttributes, body: bytes, algorithm: hashes.HashAlgorithm) -> None:
    said = [each["values"] for each in attributes if each["type"].native == "message_digest"]
    [[digest]] = said
    hasher = hashes.Hash(algorithm)
    hasher.update(body)
    if not hmac.compare_digest(digest.native, hasher.finalize()):
        raise ValueError("the digest is of another body")
