"""Renewing a certificate before it ends, at 70 to 90 % of its life as upstream.

Who uses it learns of the new one by its file. Upstream: client-go util/certificate
(certificate_manager.go: nextRotationDeadline, rotateCerts).
"""

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from tiphys.client.rest import Client
from tiphys.kubelet import certificate_store
from tiphys.kubelet.certificate_request import FAILURES, Wanted, obtain
from tiphys.lib.backoff import Backoff
from tiphys.lib.clock import Clock

log = logging.getLogger(__name__)

SHARE_MIN: Final = 0.7
SHARE_SPAN: Final = 0.2
LOOK_SECONDS_MAX: Final = 60.0  # A machine that slept, or a file that somebody replaced.
RETRY_INITIAL_SECONDS: Final = 1.0
RETRY_MAX_SECONDS: Final = 60.0


def deadline(start: datetime, end: datetime, chance: float) -> datetime:
    """When to renew a certificate; chance from 0 to 1 keeps nodes from doing so all at once."""
    life = (end - start).total_seconds()
    return start + timedelta(seconds=life * (SHARE_MIN + SHARE_SPAN * chance))


def seconds_left(certificate: x509.Certificate | None, now: datetime, chance: float) -> float:
    """Until a certificate must be renewed; 0 where there is none."""
    if certificate is None:
        return 0.0
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return max((deadline(start, end, chance) - now).total_seconds(), 0.0)


class CertificateRotation:
    """Keeps one certificate in a directory valid until cancelled."""

    def __init__(
        self,
        client: Client,
        wanted: Wanted,
        place: tuple[Path, str],
        clock: Clock,
        rng: random.Random,
        renewed: Callable[[], None] = lambda: None,
    ) -> None:
        """place: directory and stem; renewed is called when a new one is there."""
        self._client = client
        self._wanted = wanted
        self._directory, self._stem = place
        self._clock = clock
        self._rng = rng
        self._renewed = renewed

    async def run(self) -> None:
        backoff = Backoff(initial_seconds=RETRY_INITIAL_SECONDS, max_seconds=RETRY_MAX_SECONDS)
        known, chance = 0, 0.0
        while True:
            have = certificate_store.load(self._directory, self._stem)
            if have is not None and have.serial_number != known:
                known, chance = have.serial_number, self._rng.random()
            left = seconds_left(have, self._clock.now(), chance)
            if left > 0:
                await self._clock.sleep(min(left, LOOK_SECONDS_MAX))
            elif await self.renew():
                backoff.forget("")
            else:
                await self._clock.sleep(backoff.next_seconds(""))

    async def renew(self) -> bool:
        """Whether there is a new one now."""
        try:
            pem = await obtain(self._client, self._wanted, self._clock)
            certificate_store.save(self._directory, self._stem, pem, self._clock.now())
        except (*FAILURES, OSError) as exc:
            log.warning("certificate not renewed", extra={"file": self._stem, "why": str(exc)})
            return False
        log.info("certificate renewed", extra={"file": self._stem})
        self._renewed()
        return True
