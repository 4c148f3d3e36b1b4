"""The webhook mode of authorization: another server is asked what Node and RBAC do not allow.

Authorizers answer at once, and this one must wait. What it does not know yet it raises as Unasked;
who serves the request waits for the answer, and looks at the request anew. Nothing has been written
by then: all that is asked about a request is asked before.
Upstream: apiserver plugin/pkg/authorizer/webhook, pkg/util/webhook.
"""

import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import orjson

from tiphys.api.errors import InternalError
from tiphys.api.meta import Obj
from tiphys.apiserver.filters.authorization import Attributes, Decision
from tiphys.apiserver.user import User
from tiphys.client import kubeconfig
from tiphys.lib.clock import Clock
from tiphys.lib.http.client import HttpClient, HttpError

if TYPE_CHECKING:
    from tiphys.apiserver.config import ApiServerConfig

log = logging.getLogger(__name__)

ANSWERS_MAX: Final = 8192
KEPT_CHARS_MAX: Final = 10_000  # What asks with longer names is not remembered.
ANSWER_SECONDS_MAX: Final = 30.0
TRIES_MAX: Final = 5
ASKED_PER_REQUEST_MAX: Final = 50  # Impersonation of somebody with many groups asks for each.
VERSIONS: Final = ("v1", "v1beta1")
_FIRST_PAUSE_SECONDS: Final = 0.5
_PAUSE_FACTOR: Final = 1.5
_PAUSE_JITTER: Final = 0.2
_RETRIED: Final = frozenset({429, 500, 504})
_BOTH: Final = "webhook subject access review returned both allow and deny response"
_NAMES: Final = ("namespace", "verb", "group", "version", "resource", "subresource", "name")

_T = TypeVar("_T")


class Unasked(Exception):
    """What nobody knows yet: `await answered()` and look again."""

    def __init__(self, answered: Callable[[], Awaitable[None]]) -> None:
        super().__init__("the authorization webhook was not asked yet")
        self.answered = answered


class WebhookFailed(Exception):
    """The webhook gave no answer: why. `may_pass`: another try may go better."""

    def __init__(self, why: str, *, may_pass: bool) -> None:
        super().__init__(why)
        self.may_pass = may_pass


class _Answer(NamedTuple):
    decision: Decision
    expires: float


class WebhookAuthorizer:
    """See the module. `ask` sends a SubjectAccessReview and gives its status."""

    def __init__(
        self,
        ask: Callable[[Obj], Awaitable[Obj]],
        clock: Clock,
        rng: random.Random,
        *,
        version: str,
        allowed_seconds: float,
        refused_seconds: float,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._rng = rng
        self._version = version
        self._allowed_seconds = allowed_seconds
        self._refused_seconds = refused_seconds
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        # Answers that are good for one decision only: failures, and what is not to be remembered.
        self._once: dict[bytes, Decision] = {}

    def decide(self, user: User, asked: Attributes) -> Decision:
        """Raises Unasked."""
        review = _review(user, asked, self._version)
        key = orjson.dumps(review)
        once = self._once.pop(key, None)
        if once is not None:
            return once
        known = self._answers.get(key)
        if known is not None and known.expires > self._clock.monotonic():
            self._answers.move_to_end(key)
            return known.decision

        async def answered() -> None:
            await self._learn(key, review, is_kept=sum(map(len, asked)) < KEPT_CHARS_MAX)

        raise Unasked(answered)

    async def _learn(self, key: bytes, review: Obj, *, is_kept: bool) -> None:
        try:
            decision = decision_of(await self._tried(review))
        except WebhookFailed as error:
            log.error("the authorization webhook gave no answer", extra={"why": str(error)})
            self._once[key] = Decision(False, error=str(error))
            return
        lasts = self._allowed_seconds if decision.allowed else self._refused_seconds
        if lasts <= 0 or not is_kept:
            self._once[key] = decision
            return
        self._answers[key] = _Answer(decision, self._clock.monotonic() + lasts)
        self._answers.move_to_end(key)
        if len(self._answers) > ANSWERS_MAX:
            self._answers.popitem(last=False)

    async def _tried(self, review: Obj) -> Obj:
        """Raises WebhookFailed."""
        pause = _FIRST_PAUSE_SECONDS
        for left in reversed(range(TRIES_MAX)):
            try:
                return await self._ask(review)
            except WebhookFailed as error:
                if not left or not error.may_pass:
                    raise
            await self._clock.sleep(pause * (1 + _PAUSE_JITTER * self._rng.random()))
            pause *= _PAUSE_FACTOR
        raise AssertionError("there is a last try")


def decision_of(status: Obj) -> Decision:
    allowed, denied = bool(status.get("allowed")), bool(status.get("denied"))
    error = _BOTH if allowed and denied else ""
    return Decision(allowed and not denied, str(status.get("reason") or ""), denied, error)


def _review(user: User, asked: Attributes, version: str) -> Obj:
    told = user.to_obj()
    spec: Obj = {"user": told.pop("username")} | told
    if version == "v1beta1" and "groups" in spec:
        spec["group"] = spec.pop("groups")
    if asked.path:
        spec["nonResourceAttributes"] = {"path": asked.path, "verb": asked.verb}
    else:
        named = {name: getattr(asked, name) for name in _NAMES}
        spec["resourceAttributes"] = {name: value for name, value in named.items() if value}
    return {
        "apiVersion": f"authorization.k8s.io/{version}",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": spec,
    }


class WebhookClient:
    """Sends reviews to the server that a kubeconfig file names, at the very path of its URL."""

    def __init__(self, access: kubeconfig.Access) -> None:
        headers = {"content-type": "application/json", "accept": "application/json"}
        if access.token is not None:
            headers["authorization"] = f"Bearer {str.__str__(access.token)}"
        tls = access.tls() if access.server.startswith("https") else None
        name = access.tls_server_name
        self._http = HttpClient(access.server, tls=tls, headers=headers, server_hostname=name)
        self._target = "" if self._http.base_path else "/"

    async def ask(self, review: Obj) -> Obj:
        """The review's status. Raises WebhookFailed."""
        body = orjson.dumps(review)
        try:
            answer = await self._http.request(
                "POST", self._target, body=body, timeout_seconds=ANSWER_SECONDS_MAX
            )
        except (HttpError, TimeoutError, OSError) as error:
            # Not where nobody listens, or the certificate is wrong: only what was cut off.
            is_cut = isinstance(error, HttpError) and not isinstance(error.__cause__, OSError)
            raise WebhookFailed(str(error), may_pass=is_cut) from error
        if not 200 <= answer.status < 300:
            may_pass = answer.status in _RETRIED or "retry-after" in answer.headers
            raise WebhookFailed(f"the webhook answered {answer.status}", may_pass=may_pass)
        try:
            status = orjson.loads(answer.body)["status"]
        except (ValueError, TypeError, KeyError) as error:
            text = f"the webhook's answer is no SubjectAccessReview: {error}"
            raise WebhookFailed(text, may_pass=False) from error
        if not isinstance(status, Mapping):
            raise WebhookFailed("the webhook's answer has no status", may_pass=False)
        return dict(status)


def webhook_of(
    config: "ApiServerConfig", clock: Clock, rng: random.Random
) -> WebhookAuthorizer | None:
    """Raises ValueError for modes that are not there, KubeconfigError for a file that is no use."""
    modes = config.authorization_modes
    path: Path | None = config.authorization_webhook_config
    if modes == ("Node", "RBAC"):
        return None
    if modes != ("Node", "RBAC", "Webhook"):
        raise ValueError("authorization modes are Node,RBAC or Node,RBAC,Webhook")
    if path is None:
        raise ValueError("the authorization mode Webhook needs authorization-webhook-config-file")
    return WebhookAuthorizer(
        WebhookClient(kubeconfig.load(path)).ask,
        clock,
        rng,
        version=config.authorization_webhook_version,
        allowed_seconds=config.authorization_webhook_allowed_seconds,
        refused_seconds=config.authorization_webhook_refused_seconds,
    )


async def once_answered(
    look: Callable[[], _T | Awaitable[_T]], begun: Awaitable[_T] | Unasked
) -> _T:
    """What look gives once all that it asks is answered; begun: what it gave the first time.

    Raises InternalError.
    """
    for _ in range(ASKED_PER_REQUEST_MAX):
        try:
            if isinstance(begun, Unasked):
                await begun.answered()
                found = look()
                if not isinstance(found, Awaitable):
                    return found
                begun = found
            return await begun
        except Unasked as unasked:
            begun = unasked
    raise InternalError("the request asked the authorization webhook too much")
