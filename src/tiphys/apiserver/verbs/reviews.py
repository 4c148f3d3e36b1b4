"""Reviews: questions about rights and identities, answered and not stored.

Upstream: pkg/registry/{authorization,authentication}/*/rest.go.
"""

from typing import Final

from tiphys.api.errors import BadRequest
from tiphys.api.field_errors import FieldError, invalid, invalid_object
from tiphys.api.meta import Obj, rfc3339
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.filters.authorization import Attributes
from tiphys.apiserver.responses import document_answer
from tiphys.apiserver.user import User
from tiphys.lib.http.message import Answer

AUTHORIZATION: Final = "authorization.k8s.io"
AUTHENTICATION: Final = "authentication.k8s.io"
_ONE_OF: Final = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def _read(ctx: RequestContext) -> Obj:
    review = read_object(ctx, ctx.endpoint.info.gvk)
    if any(v for k, v in review["metadata"].items() if k not in {"managedFields", "namespace"}):
        error = invalid("metadata", review["metadata"], "must be empty")
        raise invalid_object(AUTHORIZATION, ctx.endpoint.info.kind, "", [error])
    return review


def asked_of(spec: Obj) -> Attributes:
    """resourceAttributes or nonResourceAttributes as the authorizer takes them."""
    path = spec.get("nonResourceAttributes")
    if path:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    resource = spec.get("resourceAttributes") or {}
    return Attributes(
        verb=resource.get("verb", ""),
        group=resource.get("group", ""),
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
    )


def _validate_attributes(spec: Obj, user: User | None) -> list[FieldError]:
    errors: list[FieldError] = []
    if bool(spec.get("resourceAttributes") is not None) == bool(
        spec.get("nonResourceAttributes") is not None
    ):
        both = spec.get("resourceAttributes") is not None
        if both:
            text = "cannot be specified in combination with resourceAttributes"
            errors.append(
                invalid("spec.nonResourceAttributes", spec["nonResourceAttributes"], text)
            )
        else:
            errors.append(invalid("spec.resourceAttributes", None, _ONE_OF))
    if user is None and not spec.get("user") and not spec.get("groups"):
        errors.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    return errors


def _decided(ctx: RequestContext, review: Obj, user: User) -> Answer:
    decision = ctx.server.authorizer.decide(user, asked_of(review["spec"]))
    status: Obj = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return document_answer(ctx, 201, review | {"status": status})


async def self_subject_access_review(ctx: RequestContext) -> Answer:
    """May I? Raises Invalid."""
    review = _read(ctx)
    errors = _validate_attributes(review.get("spec") or {}, ctx.user)
    if errors:
        raise invalid_object(AUTHORIZATION, "SelfSubjectAccessReview", "", errors)
    return _decided(ctx, review, ctx.user)


async def subject_access_review(ctx: RequestContext) -> Answer:
    """May they? Raises Invalid."""
    review = _read(ctx)
    spec = review.get("spec") or {}
    errors = _validate_attributes(spec, None)
    if errors:
        raise invalid_object(AUTHORIZATION, ctx.endpoint.info.kind, "", errors)
    return _decided(ctx, review, _user_of(spec))


async def local_subject_access_review(ctx: RequestContext) -> Answer:
    """May they, in this namespace? Raises BadRequest, Invalid."""
    review = _read(ctx)
    spec = review.get("spec") or {}
    namespace = (spec.get("resourceAttributes") or {}).get("namespace", "")
    if spec.get("nonResourceAttributes") is not None:
        error = invalid(
            "spec.nonResourceAttributes",
            spec["nonResourceAttributes"],
            "disallowed on this kind of request",
        )
        raise invalid_object(AUTHORIZATION, "LocalSubjectAccessReview", "", [error])
    if namespace != ctx.namespace:
        raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {ctx.namespace}")
    errors = _validate_attributes(spec, None)
    if errors:
        raise invalid_object(AUTHORIZATION, "LocalSubjectAccessReview", "", errors)
    review["metadata"]["namespace"] = ctx.namespace
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
    status = {
        "resourceRules": resource_rules,
        "nonResourceRules": path_rules,
        "incomplete": False,
    }
    return document_answer(ctx, 201, review | {"status": status})


async def self_subject_review(ctx: RequestContext) -> Answer:
    """Who am I?"""
    review = read_object(ctx, ctx.endpoint.info.gvk)
    review["metadata"] = {"creationTimestamp": rfc3339(ctx.server.clock.now())}
    return document_answer(ctx, 201, review | {"status": {"userInfo": ctx.user.to_obj()}})


async def token_review(ctx: RequestContext) -> Answer:
    """Whose token is this? Raises BadRequest."""
    review = read_object(ctx, ctx.endpoint.info.gvk)
    spec = review.get("spec") or {}
    token, audiences = spec.get("token", ""), spec.get("audiences") or []
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    user = ctx.server.tokens.user_of(token, audiences)
    status: Obj = {"user": {}}
    if user is not None:
        wanted = audiences or [ctx.server.tokens.issuer]
        of_token = ctx.server.tokens.audiences_of(token)
        status = {"authenticated": True, "user": user.to_obj()}
        status["audiences"] = [a for a in wanted if a in of_token]
    else:
        status["error"] = "invalid bearer token"
    return document_answer(ctx, 201, review | {"status": status})
