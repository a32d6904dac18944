"""Who a device is: by `Mdm-Signature` or by the header of a trusted proxy, and always down to our device CA."""

from mdm_push.identity.prover import CERTIFICATE_HEADER, SIGNATURE_HEADER, Prover

__all__ = ["CERTIFICATE_HEADER", "SIGNATURE_HEADER", "Prover"]
