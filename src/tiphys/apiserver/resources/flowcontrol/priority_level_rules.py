"""Validation of PriorityLevelConfigurations. Upstream: pkg/apis/flowcontrol/validation."""

import math
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj, annotations_of
from tiphys.apiserver.resources.flowcontrol.mandatory import level_errors
from tiphys.apiserver.resources.rules.texts import unsupported

_QUEUES_MAX: Final = 10_000_000
_ENTROPY_BITS_MAX: Final = 60
_OF_BETA: Final = "flowcontrol.k8s.io/preserve-zero-concurrency-shares"


def validate(level: Obj) -> list[FieldError]:
    spec, name = level["spec"], level["metadata"].get("name", "")
    kind, limited = spec.get("type", ""), spec.get("limited")
    errors: list[FieldError] = []
    if _OF_BETA in annotations_of(level):
        text = f"annotation '{_OF_BETA}' is forbidden"
        errors.append(forbidden("metadata.annotations", text))
    if (name == "exempt") is not (kind == "Exempt"):
        text = "must be 'Exempt' if and only if `name` is 'exempt'"
        errors.append(invalid("spec.type", kind, text))
    match kind:
        case "Exempt":
            if limited is not None:
                text = "must be nil if the type is not Limited"
                errors.append(forbidden("spec.limited", text))
            errors += _shares(spec.get("exempt") or {}, "spec.exempt")
            errors += _lendable(spec.get("exempt") or {}, "spec.exempt")
        case "Limited":
            if spec.get("exempt") is not None:
                text = "must be nil if the type is Limited"
                errors.append(forbidden("spec.exempt", text))
            if limited is None:
                text = "must not be empty when type is Limited"
                errors.append(required("spec.limited", text))
            else:
                errors += _limited(limited, "spec.limited")
        case _:
            errors.append(unsupported("spec.type", kind, ("Exempt", "Limited")))
    return errors + level_errors(level)


def _shares(level: Obj, path: str) -> list[FieldError]:
    shares = level.get("nominalConcurrencyShares") or 0
    if shares >= 0:
        return []
    return [invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")]


def _lendable(level: Obj, path: str) -> list[FieldError]:
    lendable = level.get("lendablePercent")
    if lendable is None or 0 <= lendable <= 100:
        return []
    return [invalid(f"{path}.lendablePercent", lendable, names.range_text(0, 100))]


def _limited(limited: Obj, path: str) -> list[FieldError]:
    errors = _shares(limited, path)
    response = limited.get("limitResponse") or {}
    where = f"{path}.limitResponse"
    queuing = response.get("queuing")
    match response.get("type", ""):
        case "Reject":
            if queuing is not None:
                text = "must be nil if limited.limitResponse.type is not Limited"
                errors.append(forbidden(f"{where}.queuing", text))
        case "Queue":
            if queuing is None:
                text = "must not be empty if limited.limitResponse.type is Limited"
                errors.append(required(f"{where}.queuing", text))
            else:
                errors += _queuing(queuing, f"{where}.queuing")
        case kind:
            errors.append(unsupported(f"{where}.type", kind, ("Queue", "Reject")))
    errors += _lendable(limited, path)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        text = "if specified, must be a non-negative integer"
        errors.append(invalid(f"{path}.borrowingLimitPercent", borrowing, text))
    return errors


def _queuing(queuing: Obj, path: str) -> list[FieldError]:
    limit, queues, hand = (queuing.get(f, 0) for f in ("queueLengthLimit", "queues", "handSize"))
    errors: list[FieldError] = []
    if limit <= 0:
        errors.append(invalid(f"{path}.queueLengthLimit", limit, "must be positive"))
    if queues <= 0:
        errors.append(invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > _QUEUES_MAX:
        text = f"must not be greater than {_QUEUES_MAX}"
        errors.append(invalid(f"{path}.queues", queues, text))
    if hand <= 0:
        errors.append(invalid(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        text = f"should not be greater than queues ({queues})"
        errors.append(invalid(f"{path}.handSize", hand, text))
    elif math.ceil(math.log2(queues) * hand) > _ENTROPY_BITS_MAX:
        text = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be "
            f"greater than {_ENTROPY_BITS_MAX}"
        )
        errors.append(invalid(f"{path}.handSize", hand, text))
    return errors
