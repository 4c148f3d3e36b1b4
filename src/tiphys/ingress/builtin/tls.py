"""TLS contexts of certificates that are in memory."""

import os
import ssl

from tiphys.ingress.table import Certificate


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """TLS 1.2 and 1.3, as ingress-nginx. Raises ssl.SSLError.

    OpenSSL is only shown files: one that never was in any directory keeps the key off the disk.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    with os.fdopen(fd, "wb") as file:
        file.write(certificate.chain + b"\n" + certificate.key)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    return context
