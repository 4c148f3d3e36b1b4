"""What the DNS server counts. Upstream: CoreDNS plugin/metrics/vars."""

from typing import Final

from tiphys.lib.metrics import Counter
from tiphys.lib.prometheus_text import Family

# By number. Source: RFC 1035 4.1.1.
RCODES: Final = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


class DnsMetrics:
    def __init__(self) -> None:
        self._requests = Counter(
            "coredns_dns_requests_total", "Counter of DNS requests made.", ("proto",)
        )
        self._responses = Counter(
            "coredns_dns_responses_total", "Counter of response status codes.", ("rcode",)
        )
        self._forwards = Counter("coredns_forward_requests_total", "Counter of requests forwarded.")

    def asked(self, *, tcp: bool) -> None:
        self._requests.add("tcp" if tcp else "udp")

    def answered(self, answer: bytes) -> None:
        """The lowest four bits of the header's second half are the code (RFC 1035 4.1.1)."""
        code = answer[3] & 15 if len(answer) > 3 else 1
        self._responses.add(RCODES[code] if code < len(RCODES) else str(code))

    def forwarded(self) -> None:
        self._forwards.add()

    def families(self) -> list[Family]:
        return [self._requests.family(), self._responses.family(), self._forwards.family()]
