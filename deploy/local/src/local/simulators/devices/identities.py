"""Gives devices their identities, as SCEP would: a key, EC P-256 or RSA 2048, and a certificate of their own."""

from cryptography.hazmat.primitives.asymmetric import rsa

from local.simulators.authority import Identity
from local.simulators.devices.model import Device
from local.simulators.devices.proof import Proof, by_header, by_signature
from local.simulators.devices.settings import FleetSettings, KeyType, ProofMode

RSA_BITS, RSA_EXPONENT = 2048, 65_537


class Identities:
    """Issues them. An EC key takes 0.15 ms and 3 kB; an RSA key takes some 50 ms, so many devices share a few."""

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._rsa_keys: list[rsa.RSAPrivateKey] = []
        self._issued = 0

    def issue(self, device: Device, key_type: KeyType | None = None) -> Proof:
        """Issue one for a device, with a key of the type asked for, else of the fleet's."""
        name = device.enrollment_id if device.traits.personal else device.udid
        identity = self._identity(name, key_type or self._settings.key_type)
        if self._settings.proof_mode is ProofMode.SIGNATURE:
            return by_signature(identity)
        return by_header(identity, self._settings.proof_header)

    def _identity(self, name: str, key_type: KeyType) -> Identity:
        if key_type is KeyType.EC:
            return self._settings.authority.issue_device(common_name=name)
        return self._settings.authority.issue_device(
            common_name=name,
            private_key=self._next_rsa_key(),
        )

    def _next_rsa_key(self) -> rsa.RSAPrivateKey:
        """Make a key, or take the next one in turn once there are enough."""
        if len(self._rsa_keys) < max(1, self._settings.rsa_keys):
            self._rsa_keys.append(rsa.generate_private_key(RSA_EXPONENT, RSA_BITS))
        self._issued += 1
        return self._rsa_keys[(self._issued - 1) % len(self._rsa_keys)]
