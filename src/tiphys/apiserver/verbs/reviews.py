"""Reviews: questions about rights and identities, answered and not stored.

Upstream: pkg/registry/{authorization,authentication}/*/rest.go.
"""

from typing import Final

import orjson

from tiphys.api.errors import BadRequest
from tiphys.api.field_errors import FieldError, invalid, invalid_object
from tiphys.api.go_form import api_form
from tiphys.api.meta import Obj, rfc3339
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.field_manager.manage import track_create
from tiphys.apiserver.filters.authorization import Attributes
from tiphys.apiserver.negotiation import NO_TABLES
from tiphys.apiserver.object_meta import SYSTEM_FIELDS, set_namespace
from tiphys.apiserver.responses import document_answer
from tiphys.apiserver.user import User
from tiphys.apiserver.verbs import review_selectors
from tiphys.apiserver.verbs.options import check_write_options
from tiphys.lib.http.message import Answer

AUTHORIZATION: Final = "authorization.k8s.io"
AUTHENTICATION: Final = "authentication.k8s.io"
_NO_RULES: Final = "webhook authorizer does not support user rule resolution"
_PATHS: Final = "spec.nonResourceAttributes"
_ONE_OF: Final = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def _read(ctx: RequestContext) -> Obj:
    """Raises NotAcceptable, BadRequest."""
    ctx.media(views=NO_TABLES)
    check_write_options(ctx, "CreateOptions")
    review = read_object(ctx, ctx.endpoint.info.gvk)
    set_namespace(review["metadata"], ctx.namespace, namespaced=ctx.endpoint.info.namespaced)
    for field in SYSTEM_FIELDS:
        review["metadata"].pop(field, None)
    return review


def _metadata_errors(ctx: RequestContext, review: Obj) -> list[FieldError]:
    """Nothing but the namespace may be there; what is shown has all of it."""
    given = {k: v for k, v in review["metadata"].items() if v and k != "managedFields"}
    if set(given) <= {"namespace"}:
        return []
    shown = review | {"metadata": given}
    track_create(ctx, shown)
    text = "must be empty except for namespace" if "namespace" in given else "must be empty"
    return [invalid("metadata", api_form(shown["metadata"], "meta.v1.ObjectMeta"), text)]


def _raise_invalid(errors: list[FieldError]) -> None:
    """Upstream names no kind in these."""
    if errors:
        raise invalid_object(AUTHORIZATION, "", "", errors)


def asked_of(spec: Obj) -> Attributes:
    """resourceAttributes or nonResourceAttributes as the authorizer takes them."""
    resource = spec.get("resourceAttributes")
    if resource is None:
        path = spec.get("nonResourceAttributes") or {}
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    return Attributes(
        verb=resource.get("verb", ""),
        group=resource.get("group", ""),
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
        node=review_selectors.read(resource).node,
        version=resource.get("version", ""),
    )


def _validate_attributes(spec: Obj) -> list[FieldError]:
    return _one_of(spec) + review_selectors.validate(spec.get("resourceAttributes") or {})


def _one_of(spec: Obj) -> list[FieldError]:
    """Exactly one of the two."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        return [invalid(_PATHS, _shown(path), text)]
    if resource is None and path is None:
        return [invalid("spec.resourceAttributes", None, _ONE_OF)]
    return []


def _validate(spec: Obj) -> list[FieldError]:
    errors = _one_of(spec)
    if not spec.get("user") and not spec.get("groups"):
        errors.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    return errors + review_selectors.validate(spec.get("resourceAttributes") or {})


def _shown(path: Obj) -> Obj:
    """As Go shows its own struct."""
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def _decided(ctx: RequestContext, review: Obj, user: User) -> Answer:
    decision = ctx.server.authorizer.decide(user, asked_of(review["spec"]))
    status: Obj = {"allowed": decision.allowed}
    if decision.denied:
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    problems = review_selectors.read(review["spec"].get("resourceAttributes") or {}).errors
    if decision.error:
        problems = [*problems, decision.error]
    if problems:
        status["evaluationError"] = "; ".join(problems)
    return _answer(ctx, review, status)


def _answer(ctx: RequestContext, review: Obj, status: Obj) -> Answer:
    return document_answer(ctx, 201, review | {"status": status}, ctx.media(views=NO_TABLES))


async def self_subject_access_review(ctx: RequestContext) -> Answer:
    """May I? Raises Invalid."""
    review = _read(ctx)
    _raise_invalid(_validate_attributes(review.get("spec") or {}) + _metadata_errors(ctx, review))
    return _decided(ctx, review, ctx.user)


async def subject_access_review(ctx: RequestContext) -> Answer:
    """May they? Raises Invalid."""
    review = _read(ctx)
    spec = review.get("spec") or {}
    _raise_invalid(_validate(spec) + _metadata_errors(ctx, review))
    return _decided(ctx, review, _user_of(spec))


async def local_subject_access_review(ctx: RequestContext) -> Answer:
    """May they, in this namespace? Raises Invalid."""
    review = _read(ctx)
    spec = review.get("spec") or {}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    errors = _validate(spec) + _metadata_errors(ctx, review)
    if resource is not None and resource.get("namespace", "") != ctx.namespace:
        where = "spec.resourceAttributes.namespace"
        found = resource.get("namespace", "")
        errors.append(invalid(where, found, "must match metadata.namespace"))
    if path is not None:
        errors.append(invalid(_PATHS, _shown(path), "disallowed on this kind of request"))
    _raise_invalid(errors)
    return _decided(ctx, review, _user_of(spec))


def _user_of(spec: Obj) -> User:
    return User(
        spec.get("user", ""), spec.get("groups") or (), spec.get("uid", ""), spec.get("extra")
    )


async def self_subject_rules_review(ctx: RequestContext) -> Answer:
    """What may I in a namespace? Raises BadRequest."""
    review = _read(ctx)
    namespace = (review.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise BadRequest("no namespace on request")
    resource_rules: list[Obj] = []
    path_rules: list[Obj] = []
    for grant in ctx.server.authorizer.grants_of(ctx.user):
        if grant.namespace not in {"", namespace}:
            continue
        for rule in grant.rules:
            if rule.paths:
                path_rules.append(
                    {"verbs": sorted(rule.verbs), "nonResourceURLs": list(rule.paths)}
                )
            else:
                shown: Obj = {
                    "verbs": sorted(rule.verbs),
                    "apiGroups": sorted(rule.groups),
                    "resources": sorted(rule.resources),
                }
                if rule.names:
                    shown["resourceNames"] = sorted(rule.names)
                resource_rules.append(shown)
    status: Obj = {
        "resourceRules": resource_rules,
        "nonResourceRules": path_rules,
        "incomplete": False,
    }
    if ctx.server.authorizer.webhook is not None:  # It cannot be asked for all that it allows.
        status |= {"incomplete": True, "evaluationError": _NO_RULES}
    return _answer(ctx, review | {"metadata": {}, "spec": {}}, status)


async def self_subject_review(ctx: RequestContext) -> Answer:
    """Who am I?"""
    review = _read(ctx)
    review["metadata"] = {"creationTimestamp": rfc3339(ctx.server.clock.now())}
    return _answer(ctx, review, {"userInfo": ctx.user.to_obj()})


async def token_review(ctx: RequestContext) -> Answer:
    """Whose token is this? Raises BadRequest."""
    review = _read(ctx)
    spec = review.get("spec") or {}
    token, audiences = spec.get("token", ""), spec.get("audiences") or []
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    user = ctx.server.tokens.user_of(token, audiences)
    status: Obj = {"user": {}}
    issuer = ctx.server.tokens.issuer
    foreign = None
    if user is None and (not audiences or issuer in audiences):
        foreign = ctx.server.authenticator.foreign_user_of(token)  # Good for this server alone.
    if foreign is not None:
        status = {"authenticated": True, "user": foreign.to_obj(), "audiences": [issuer]}
    elif user is not None:
        wanted = audiences or [issuer]
        of_token = ctx.server.tokens.audiences_of(token)
        status = {"authenticated": True, "user": user.to_obj()}
        status["audiences"] = [a for a in wanted if a in of_token]
    else:
        # What the asker wrote of the user stays, as upstream leaves it: it says nothing.
        given = {k: v for k, v in (review.get("status") or {}).items() if k != "authenticated"}
        status = status | given | {"error": _refused(ctx, token, audiences)}
    return _answer(ctx, review, status)


def _refused(ctx: RequestContext, token: str, audiences: list[str]) -> str:
    """One of ours for somebody else is told apart, as upstream's two authenticators do."""
    found = ctx.server.tokens.audiences_of(token)
    wanted = audiences or [ctx.server.tokens.issuer]
    if not found or not set(found).isdisjoint(wanted):
        return "invalid bearer token"
    shown = [orjson.dumps(names).decode().replace(",", " ") for names in (found, wanted)]
    text = f"token audiences {shown[0]} is invalid for the target audiences {shown[1]}"
    return f"[invalid bearer token, {text}]"
