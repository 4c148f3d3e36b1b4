"""What all writes share: from a decoded object to a stored one, and the retry of updates.

Upstream: apiserver pkg/registry/generic/registry/store.go (Create, Update, GuaranteedUpdate).
"""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import orjson

from tiphys.api import names
from tiphys.api.errors import (
    OBJECT_MODIFIED,
    AlreadyExists,
    ApiError,
    BadRequest,
    InternalError,
    RequestEntityTooLarge,
    ServiceUnavailable,
    already_exists,
    conflict,
    not_found,
)
from tiphys.api.field_errors import FieldError, invalid_object
from tiphys.api.meta import Obj, is_core, labels_of
from tiphys.apiserver.admission.chain import Operation, Write
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.meta_checks import wants_qualified_finalizers
from tiphys.apiserver.object_meta import validate_meta
from tiphys.apiserver.resources.rules.texts import kube_finalizers
from tiphys.storage.backend import KeyExists, RevisionMismatch, StorageError
from tiphys.storage.cached_object import CachedObject, encode_value

UPDATE_TRIES_MAX: Final = 100  # Against other writers of the same object; each try re-reads.
EVENT_TTL_SECONDS: Final = 3600  # Upstream's --event-ttl.
VALUE_BYTES_MAX: Final = 1_572_864  # etcd's request limit (1.5 MiB), which clients know.


class Written(NamedTuple):
    """`created` tells 201 from 200; `obj` is for forms other than plain JSON."""

    cached: CachedObject
    created: bool


def admission_write(
    ctx: RequestContext, operation: Operation, obj: Obj | None, old: Obj | None
) -> Write:
    return Write(
        operation=operation,
        info=ctx.info,
        user=ctx.user,
        kind=ctx.endpoint.info.kind,
        obj=obj,
        old=old,
        warnings=ctx.warnings,
        is_dry_run=ctx.is_dry_run,
        annotate=None if ctx.request.notes is None else ctx.request.notes.annotate,
    )


def admit(ctx: RequestContext, operation: Operation, obj: Obj, old: Obj | None = None) -> None:
    """All plugins at once, for what is not stored as it is. Raises ApiError."""
    write = admission_write(ctx, operation, obj, old)
    ctx.server.admission.mutate(write)
    ctx.server.admission.validate(write)


def validate_name_of(endpoint: Endpoint) -> Callable[[str, bool], list[str]]:
    check = endpoint.resource.validate_name or names.name_is_dns_subdomain
    if endpoint.resource.checks_generated_prefix:
        return check
    return lambda name, is_prefix: [] if is_prefix else check(name, False)


def validate_object(endpoint: Endpoint, obj: Obj) -> list[FieldError]:
    """Metadata's rules, then the kind's."""
    errors = validate_meta(
        obj, namespaced=endpoint.info.namespaced, validate_name=validate_name_of(endpoint)
    )
    resource = endpoint.resource
    # Of custom resources one is warned, they are not refused.
    if endpoint.custom is None and wants_qualified_finalizers(endpoint.info.gvk):
        errors += kube_finalizers(obj)
    errors += resource.validate(obj)
    return errors + resource.validate_create(obj)


def namespace_errors(ctx: RequestContext, obj: Obj) -> list[FieldError]:
    """What a new object may not ask for in its namespace."""
    rule = ctx.endpoint.resource.validate_create_in
    if rule is None:
        return []
    namespaces = ctx.server.endpoint_of("", "namespaces")
    cached = namespaces.cache.get(namespaces.key("", ctx.namespace))
    return rule(obj, labels_of(namespaces.decode(cached)) if cached is not None else {})


def raise_invalid(endpoint: Endpoint, obj: Obj, errors: list[FieldError]) -> None:
    """Raises Invalid when there are errors."""
    if errors:
        info = endpoint.info
        name = obj["metadata"].get("name", "")
        group = endpoint.resource.error_group
        raise invalid_object(info.group if group is None else group, info.kind, name, errors)


def ttl_of(endpoint: Endpoint) -> int:
    """Events end after an hour."""
    is_event = endpoint.info.kind == "Event" and endpoint.custom is None
    return EVENT_TTL_SECONDS if is_event else 0


def encoded(endpoint: Endpoint, obj: Obj) -> bytes:
    """The stored form. Raises ApiError when it is too big."""
    try:
        value = encode_value(endpoint.to_stored(obj))
    except orjson.JSONEncodeError as error:  # Deeper than the encoder goes.
        raise BadRequest(f"the object cannot be written as JSON: {error}") from None
    if len(value) > VALUE_BYTES_MAX:
        raise RequestEntityTooLarge("etcdserver: request is too large")
    return value


def storage_failed(error: StorageError) -> ApiError:
    """A failed store is the server's trouble, never the client's."""
    return ServiceUnavailable(f"the store did not serve it: {error}", code=500, reason="")


async def store_new(ctx: RequestContext, endpoint: Endpoint, obj: Obj) -> CachedObject:
    """Write a new object, or, for a dry run, only say what it would be. Raises AlreadyExists."""
    info = endpoint.info
    metadata = obj["metadata"]
    key = endpoint.key(metadata.get("namespace", ""), metadata["name"])
    revision = metadata.pop("resourceVersion", "")
    value = encoded(endpoint, obj)
    if ctx.is_dry_run:
        if endpoint.cache.get(key) is not None:
            error = already_exists(info.group, info.plural, metadata["name"])
            raise _of_deleted(error, endpoint, key)
        return dry(endpoint, key, value, int(revision) if revision.isdecimal() else 0)
    if revision.isdecimal() and int(revision) and not ctx.applies:
        # Upstream's store says so, which is why a dry run may.
        text = "resourceVersion should not be set on objects to be created"
        raise InternalError(text, code=500, reason="")
    try:
        return await ctx.server.store.create(
            endpoint.cache, key, value, ttl_seconds=ttl_of(endpoint)
        )
    except KeyExists:
        error = already_exists(info.group, info.plural, metadata["name"])
        raise _of_deleted(error, endpoint, key) from None
    except StorageError as error:
        raise storage_failed(error) from error


def _of_deleted(error: ApiError, endpoint: Endpoint, key: str) -> ApiError:
    """Says so when the object that is in the way is on its way out."""
    there = endpoint.cache.get(key)
    if there is None or "deletionTimestamp" not in endpoint.decode(there)["metadata"]:
        return error
    text = f"object is being deleted: {error}"
    return AlreadyExists(text, details=error.details)


def dry(endpoint: Endpoint, key: str, value: bytes, revision: int = 0) -> CachedObject:
    """An object that was not written: without a revision where it had none."""
    cached = endpoint.cache.spliced(key, value, revision)
    if not revision:
        cached.tail = cached.tail.replace(b'"resourceVersion":"0",', b"", 1)
    return cached


Change = Callable[[Obj], Obj | None]
"""From the object as it is to the one to write; None leaves it. May run more than once."""


Claim = Callable[[], Awaitable[bool]]
"""Asks the other servers for what the change was given; False: change it again."""


async def guaranteed_update(
    ctx: RequestContext,
    endpoint: Endpoint,
    key: str,
    change: Change,
    *,
    tries: int = 0,
    claim: Claim | None = None,
) -> CachedObject:
    """Change an object, again on the newest one when another server was faster.

    The change removes it from the store when it leaves a deleted object without finalizers.
    Raises NotFound, Conflict after too many tries, and what change raises.
    """
    turns = ctx.server.turns
    if not turns.take(key):
        await turns.wait(key)
    try:
        return await _update_in_turn(ctx, endpoint, key, change, tries, claim)
    finally:
        turns.give(key)


async def _update_in_turn(
    ctx: RequestContext,
    endpoint: Endpoint,
    key: str,
    change: Change,
    tries: int,
    claim: Claim | None,
) -> CachedObject:
    info = endpoint.info
    name = key.rpartition("/")[2]
    for _ in range(tries or UPDATE_TRIES_MAX):
        cached = endpoint.cache.get(key)
        if cached is None:
            raise not_found(info.group, info.plural, name)
        new = change(endpoint.decode(cached))
        if new is None:
            return cached
        value = encoded(endpoint, new)
        unchanged = endpoint.cache.spliced(key, value, cached.revision)
        if _is_same(endpoint, unchanged, cached):
            return cached
        if ctx.is_dry_run:
            return unchanged
        try:
            if claim is not None and not await claim():
                continue
            if is_finished(new):
                revision = await ctx.server.store.delete(endpoint.cache, key, cached.revision)
                return endpoint.cache.spliced(key, value, revision)
            return await ctx.server.store.update(
                endpoint.cache, key, value, cached.revision, ttl_seconds=ttl_of(endpoint)
            )
        except RevisionMismatch as mismatch:
            await ctx.server.store.caught_up(endpoint.cache, key, mismatch.actual)
        except StorageError as error:
            raise storage_failed(error) from error
    raise conflict(info.group, info.plural, name, OBJECT_MODIFIED)


def _is_same(endpoint: Endpoint, new: CachedObject, old: CachedObject) -> bool:
    """Also when only the order of fields differs, which a client chooses: upstream sorts them."""
    if new.tail == old.tail:
        return True
    return len(new.tail) == len(old.tail) and endpoint.decode(new) == endpoint.decode(old)


def is_finished(obj: Obj) -> bool:
    """Marked as deleted, with nothing left to wait for."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if metadata.get("deletionGracePeriodSeconds"):
        return False
    return not (is_core(obj, "Namespace") and (obj.get("spec") or {}).get("finalizers"))
