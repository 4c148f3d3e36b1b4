"""Imports that components would each do for themselves after the fork: once, and shared, instead.

None of them starts a thread, opens a socket or reads a secret.
"""

import encodings.idna  # noqa: F401 - asyncio resolves host names with it

import uvloop  # noqa: F401
from cryptography.hazmat.backends.openssl import backend  # noqa: F401
