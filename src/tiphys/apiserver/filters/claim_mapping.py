"""Whom the claims of a token make, as a file of issuers says it: by claims or by expressions.

`mapping_of` turns one entry of the file into a function; what is wrong with the entry is collected.
The expression language is loaded with the first expression.
Upstream: apiserver pkg/apis/apiserver/validation, plugin/pkg/authenticator/token/oidc.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

from tiphys.api.field_errors import FieldError, duplicate, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.filters.claim_compiling import BOTH, Claims, Compiling, Evaluate, NoUser
from tiphys.apiserver.filters.claim_rules import claim_rules, user_rules
from tiphys.apiserver.filters.oidc import UserOf
from tiphys.apiserver.user import ALL_AUTHENTICATED, CREDENTIAL_ID, User

_RESERVED: Final = ("k8s.io", "kubernetes.io")
_EMAIL_UNVERIFIED: Final = (
    "claims.email_verified must be used in claimMappings.username.expression or"
    " claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when"
    " claims.email is used in claimMappings.username.expression"
)


def mapping_of(entry: Obj, path: str, errors: list[FieldError]) -> UserOf:
    """The function of one `jwt` entry; errors are appended to."""
    compiling = Compiling(errors)
    rules = claim_rules(compiling, entry.get("claimValidationRules") or [], path)
    mappings = entry.get("claimMappings") or {}
    where = f"{path}.claimMappings"
    username = _username(compiling, mappings.get("username") or {}, f"{where}.username")
    groups = _groups(compiling, mappings.get("groups") or {}, f"{where}.groups")
    uid = _uid(compiling, mappings.get("uid") or {}, f"{where}.uid")
    extra = _extra(compiling, mappings.get("extra") or [], f"{where}.extra")
    _check_email(entry, mappings, where, errors)
    rules_of_user = user_rules(compiling, entry.get("userValidationRules") or [], path)

    def user_of(claims: Claims) -> User | None:
        try:
            user = User(
                sys.intern(username(claims)),
                (*groups(claims), ALL_AUTHENTICATED),
                uid(claims),
                extra(claims),
            )
            for rule in rules:
                rule(claims)
            for rule in rules_of_user:
                rule(_shown(user))
        except NoUser:
            return None
        return user

    return user_of


def _shown(user: User) -> Obj:
    """As the rules of users see it; the group of everybody comes later."""
    extra = {name: list(values) for name, values in user.extra.items()}
    return {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups[:-1]),
        "extra": extra,
    }


def _text_claim(claims: Claims, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise NoUser(f"the claim {name} is no text")
    return value


def _username(compiling: Compiling, said: Obj, path: str) -> Callable[[Claims], str]:
    claim, expression = said.get("claim") or "", said.get("expression") or ""
    _check_choice(compiling, said, path, is_required=True)
    if expression:
        evaluate = compiling.of("claims", expression, f"{path}.expression")
        return lambda claims: _nonempty(evaluate(claims))
    prefix = said.get("prefix") or ""

    def by_claim(claims: Claims) -> str:
        name = _nonempty(claims.get(claim))
        if claim == "email" and claims.get("email_verified", True) is not True:
            raise NoUser("the address is not verified")
        return prefix + name

    return by_claim


def _nonempty(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise NoUser("the name is no text, or an empty one")
    return value


def _groups(compiling: Compiling, said: Obj, path: str) -> Callable[[Claims], list[str]]:
    claim, expression = said.get("claim") or "", said.get("expression") or ""
    _check_choice(compiling, said, path, is_required=False)
    if expression:
        evaluate = compiling.of("claims", expression, f"{path}.expression")
        return lambda claims: _texts(evaluate(claims))
    prefix = said.get("prefix") or ""

    def by_claim(claims: Claims) -> list[str]:
        found = claims.get(claim, []) if claim else []
        names = [found] if isinstance(found, str) else found
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise NoUser(f"the claim {claim} holds no texts")
        return [prefix + name for name in names]

    return by_claim


def _texts(value: Any) -> list[str]:
    """A text or texts, without empty ones; null is none."""
    if value is None or isinstance(value, str):
        return [value] if value else []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise NoUser("expression must return a string or a list of strings")
    return [text for text in value if text]


def _uid(compiling: Compiling, said: Obj, path: str) -> Callable[[Claims], str]:
    claim, expression = said.get("claim") or "", said.get("expression") or ""
    if claim and expression:
        compiling.errors.append(invalid(path, "", BOTH))
    if claim:
        return lambda claims: _text_claim(claims, claim)
    if not expression:
        return lambda claims: ""
    evaluate = compiling.of("claims", expression, f"{path}.expression")

    def by_expression(claims: Claims) -> str:
        value = evaluate(claims)
        if not isinstance(value, str):
            raise NoUser("uid claim expression must return a string")
        return value

    return by_expression


def _extra(
    compiling: Compiling, said: list[Obj], path: str
) -> Callable[[Claims], dict[str, list[str]]]:
    found: dict[str, Evaluate] = {}
    for index, entry in enumerate(said):
        where = f"{path}[{index}]"
        key, expression = entry.get("key") or "", entry.get("valueExpression") or ""
        compiling.errors += _key_errors(key, f"{where}.key")
        if key in found:
            compiling.errors.append(duplicate(f"{where}.key", key))
        elif not expression:
            compiling.errors.append(required(f"{where}.valueExpression"))
        else:
            found[key] = compiling.of("claims", expression, f"{where}.valueExpression")

    def by_expressions(claims: Claims) -> dict[str, list[str]]:
        made = {CREDENTIAL_ID: [f"JTI={claims['jti']}"]} if _has_id(claims) else {}
        for key, evaluate in found.items():
            if values := _texts(evaluate(claims)):
                made[key] = values
        return made

    return by_expressions


def _has_id(claims: Claims) -> bool:
    return isinstance(claims.get("jti"), str)


def _key_errors(key: str, path: str) -> list[FieldError]:
    domain, slash, rest = key.partition("/")
    errors = []
    if not key:
        errors.append(required(path))
    elif not slash or not domain or not rest:
        text = 'must be a domain-prefixed path (such as "acme.io/foo")'
        errors.append(invalid(path, key, text))
    if key != key.lower():
        errors.append(invalid(path, key, "must be lowercase"))
    if slash and any(domain == one or domain.endswith(f".{one}") for one in _RESERVED):
        text = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"
        errors.append(invalid(path, key, text))
    return errors


def _check_choice(compiling: Compiling, said: Obj, path: str, *, is_required: bool) -> None:
    """Either a claim with its prefix or an expression."""
    claim, expression = said.get("claim") or "", said.get("expression") or ""
    prefix = said.get("prefix")
    errors = compiling.errors
    if claim and expression:
        errors.append(invalid(path, "", BOTH))
    elif not claim and not expression:
        if is_required:
            errors.append(required(path, "claim or expression is required"))
    elif expression and prefix is not None:
        text = "may not be specified when expression is set"
        errors.append(invalid(f"{path}.prefix", prefix, text))
    elif claim and prefix is None:
        text = (
            "prefix is required when claim is set. It can be set to an empty string to disable"
            " prefixing"
        )
        errors.append(required(f"{path}.prefix", text))


def _check_email(entry: Obj, mappings: Obj, path: str, errors: list[FieldError]) -> None:
    """Who is named by an address must look whether it is theirs."""
    username = (mappings.get("username") or {}).get("expression") or ""
    if not _speaks_of(username, "email"):
        return
    others = [one.get("valueExpression") or "" for one in mappings.get("extra") or []]
    others += [one.get("expression") or "" for one in entry.get("claimValidationRules") or []]
    if not any(_speaks_of(text, "email_verified") for text in (username, *others)):
        errors.append(invalid(f"{path}.username.expression", username, _EMAIL_UNVERIFIED))


def _speaks_of(text: str, claim: str) -> bool:
    from tiphys.apiserver.filters.claim_expressions import speaks_of

    return bool(text) and speaks_of(text, claim)
