"""DKIM key pairs. Made outside transactions: an RSA key takes tens of milliseconds, and a write has 25."""

import base64

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from postrider.engine.domains.model import Algorithm, NewKey
from postrider.kit import ids
from postrider.kit.seal import Sealer

RSA_BITS = 2_048  # RFC 8301: at least 1024, verifiers take up to 4096; 2048 still fits one UDP answer
RSA_EXPONENT = 65_537


def generate(sealer: Sealer, algorithm: Algorithm = Algorithm.RSA) -> NewKey:
    """A fresh pair, its private half sealed for its row-to-be. 40 ms of CPU for RSA: call it in a thread."""
    der, public = make_pair(algorithm)
    key_id = ids.new_id()
    return NewKey(key_id, algorithm, sealer.seal(der, key_id), public)


def make_pair(algorithm: Algorithm) -> tuple[bytes, str]:
    """A private key as PKCS#8 DER, and its public half as the `p=` of the DNS record wants it."""
    match algorithm:
        case Algorithm.RSA:
            rsa_key = rsa.generate_private_key(RSA_EXPONENT, RSA_BITS)
            public = rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            der = rsa_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        case Algorithm.ED25519:
            ed_key = ed25519.Ed25519PrivateKey.generate()
            public = ed_key.public_key().public_bytes_raw()  # RFC 8463 4: the 32 octets, not in ASN.1
            der = ed_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return der, base64.b64encode(public).decode("ascii")
