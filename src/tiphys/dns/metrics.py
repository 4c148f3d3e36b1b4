"""What the DNS server counts. Upstream: CoreDNS plugin/metrics/vars."""

from typing import Final

from tiphys.lib.metrics import Counter
from tiphys.lib.prometheus_text import Family, Sample

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
        self._hits = Counter("coredns_cache_hits_total", "The count of cache hits.")
        self._misses = Counter("coredns_cache_misses_total", "The count of cache misses.")
        self._down = 0

    def asked(self, *, tcp: bool) -> None:
        self._requests.add("tcp" if tcp else "udp")

    def answered(self, answer: bytes) -> None:
        """The lowest four bits of the header's second half are the code (RFC 1035 4.1.1)."""
        code = answer[3] & 15 if len(answer) > 3 else 1
        self._responses.add(RCODES[code] if code < len(RCODES) else str(code))

    def forwarded(self) -> None:
        self._forwards.add()

    def cached(self, found: bool) -> None:
        (self._hits if found else self._misses).add()

    def unhealthy(self, count: int) -> None:
        """How many upstreams are not asked because they failed."""
        self._down = count

    def families(self) -> list[Family]:
        down = Family(
            "tiphys_dns_upstreams_down",
            "gauge",
            "Upstreams that are not asked because they failed.",
            [Sample((), self._down)],
        )
        counters = (self._requests, self._responses, self._forwards, self._hits, self._misses)
        return [*[counter.family() for counter in counters], down]
