"""Audit: each request leaves an event for each of its stages, as much as the policy says.

What is the same for requests that come again is put together once.
Upstream: apiserver pkg/endpoints/filters/audit.go, authn_audit.go, authorization.go.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from tiphys.apiserver.audit import event
from tiphys.apiserver.audit.policy import Level, Policy, Verdict
from tiphys.apiserver.filters.authorization import Decision
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import User
from tiphys.lib.clock import Clock
from tiphys.lib.http.flow import BodyWriter, RawStream
from tiphys.lib.http.message import Answer, Request, Response, StreamResponse, UpgradeResponse

RECEIVED: Final = "RequestReceived"
STARTED: Final = "ResponseStarted"
COMPLETE: Final = "ResponseComplete"
PANIC: Final = "Panic"
KNOWN_MAX: Final = 4096  # Requests that come again, remembered.
KNOWN_CHARS_MAX: Final = 512  # Longer request lines are not.
# Upstream pkg/controlplane/apiserver/config.go, LongRunningFunc.
_LONG: Final = frozenset({"attach", "exec", "log", "portforward", "proxy"})
_PROXY_HEADERS: Final = frozenset({"x-forwarded-for", "x-real-ip"})
_NOTHING: Final[event.More] = {}
_NO_USER: Final = User("", ())
_PANIC_STATUS: Final = (
    '{"metadata":{},"status":"Failure","message":"APIServer panic\'d","reason":"InternalError",'
    '"code":500}'
)


_Key = tuple[str, str, User, str, str]
"""Method, target, user, peer's address, user agent: the same event but for its times."""


class Sink(Protocol):
    """Takes events, which it may encode later; never raises."""

    def write(self, noted: event.Noted) -> None: ...

    def close(self) -> None: ...


class Audit:
    """The policy and where events go; requests carry their Record in `notes`."""

    def __init__(self, policy: Policy, sink: Sink, clock: Clock) -> None:
        self.policy = policy
        self.sink = sink
        self.clock = clock
        self.known: dict[_Key, tuple[Verdict, str]] = {}

    def begin(
        self, request: Request, info: RequestInfo, audit_id: bytes, user: User
    ) -> "Record | None":
        """Stage RequestReceived; None when nothing is to be noted.

        Twice is fine: a request may be looked at anew.
        """
        if request.notes is not None:
            record: Record = request.notes
            return record
        body = None
        if request.body and request.method != "GET":
            verdict = self.policy.verdict(user, info)
            if verdict.level is Level.NONE:
                return None
            body = event.decoded(request.body, request.headers.get("content-type", ""))
            middle = event.middle(request, info, user, None, body)
        else:
            verdict, middle = self._known(request, info, user)
            if verdict.level is Level.NONE:
                return None
        record = request.notes = Record(self, request, info, audit_id, verdict, user, middle, body)
        record.received()
        return record

    def answered(
        self, request: Request, info: RequestInfo, audit_id: bytes, answer: Answer
    ) -> None:
        """The answer is there; one that lasts gets its last event when it ends."""
        record: Record | None = request.notes
        if record is not None:
            request.notes = None  # No circle of the two is left for the garbage collector.
            record.answered(answer)
        elif isinstance(answer, Response) and answer.status == 401:
            self._refused(request, info, audit_id, answer)

    def failed(self, request: Request, error: BaseException) -> None:
        """A bug of ours, or a client that left."""
        record: Record | None = request.notes
        if record is not None:
            request.notes = None
            record.failed(error)

    def _refused(
        self, request: Request, info: RequestInfo, audit_id: bytes, answer: Response
    ) -> None:
        """Nobody we know. Upstream: WithFailedAuthenticationAudit."""
        verdict = self.policy.verdict(_NO_USER, info)
        if verdict.level is not Level.NONE:
            middle = event.middle(request, info, None, None, None)
            record = Record(self, request, info, audit_id, verdict, _NO_USER, middle, None)
            record.refused(answer)

    def _known(self, request: Request, info: RequestInfo, user: User) -> tuple[Verdict, str]:
        """What is noted of a request without a body, and its event's middle."""
        headers = request.headers
        if len(request.target) > KNOWN_CHARS_MAX or not _PROXY_HEADERS.isdisjoint(headers):
            return self._made(request, info, user)
        agent = headers.get("user-agent", "")
        key = (request.method, request.target, user, request.connection.peer_address, agent)
        found = self.known.get(key)
        if found is None:
            if len(self.known) >= KNOWN_MAX:
                self.known.clear()
            found = self.known[key] = self._made(request, info, user)
        return found

    def _made(self, request: Request, info: RequestInfo, user: User) -> tuple[Verdict, str]:
        verdict = self.policy.verdict(user, info)
        if verdict.level is Level.NONE:
            return verdict, ""
        return verdict, event.middle(request, info, user, None, None)

    def close(self) -> None:
        self.sink.close()


class Record:
    """The events of one request of which something is noted."""

    __slots__ = (
        "_annotations",
        "_audit",
        "_body",
        "_decision",
        "_id",
        "_info",
        "_middle",
        "_received",
        "_request",
        "_user",
        "_verdict",
    )

    def __init__(
        self,
        audit: Audit,
        request: Request,
        info: RequestInfo,
        audit_id: bytes,
        verdict: Verdict,
        user: User,
        middle: str,
        body: Any,
    ) -> None:
        self._audit = audit
        self._request = request
        self._info = info
        self._id = audit_id
        self._verdict = verdict
        self._user = user
        self._middle = middle
        self._body = body
        self._received = audit.clock.now()
        self._decision: Decision | None = None
        self._annotations: event.More = _NOTHING

    def received(self) -> None:
        if self._verdict.level is Level.REQUEST_RESPONSE:
            # A compressed answer could not be shown.
            self._request.headers.pop("accept-encoding", None)
        if RECEIVED not in self._verdict.omitted:
            self._emit(RECEIVED)

    def impersonated(self, user: User) -> None:
        if user is not self._user:
            self._middle = event.middle(self._request, self._info, self._user, user, self._body)

    def decided(self, decision: Decision) -> None:
        self._decision = decision

    def annotate(self, more: event.More) -> None:
        """What admission says; of one that was said before, the first counts."""
        self._annotations = {**more, **self._annotations}

    def refused(self, answer: Response) -> None:
        self._emit(STARTED, answer.status)
        self._complete(answer)

    def answered(self, answer: Answer) -> None:
        if isinstance(answer, Response):
            self._complete(answer)
            return
        status = answer.status
        info = self._info
        if isinstance(answer, UpgradeResponse) or info.verb == "watch" or info.subresource in _LONG:
            self._emit(STARTED, status)
        if isinstance(answer, StreamResponse):
            answer.write_body = self._ending(answer.write_body, status)
        else:
            answer.run = self._ending(answer.run, status)

    def failed(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._emit(COMPLETE)
        else:
            self._emit(PANIC, _PANIC_STATUS)

    def _complete(self, answer: Response) -> None:
        level = self._verdict.level
        if answer.status < 400 and level is not Level.REQUEST_RESPONSE:
            self._emit(COMPLETE, answer.status)
            return
        shown = event.decoded(event.body_of(answer), event.content_type_of(answer))
        status = event.response_status(answer.status, shown)
        self._emit(COMPLETE, status, shown if level is Level.REQUEST_RESPONSE else None)

    def _ending(
        self, work: Callable[[Any], Awaitable[None]], status: int
    ) -> Callable[[BodyWriter | RawStream], Awaitable[None]]:
        async def run(end: BodyWriter | RawStream) -> None:
            try:
                await work(end)
            finally:
                self._emit(COMPLETE, status)

        return run

    def _emit(self, stage: str, status: str | int = "", response: Any = None) -> None:
        verdict = self._verdict
        if stage in verdict.omitted:
            return
        audit = self._audit
        now = self._received if stage is RECEIVED else audit.clock.now()
        body = None
        if verdict.level >= Level.REQUEST and stage is not RECEIVED:
            body = self._body
        noted = (verdict, self._id, stage, self._middle, status, body, response)
        audit.sink.write((*noted, self._received, now, self._decision, self._annotations))
