"""What webhook configurations and admission policies share.

Upstream: pkg/apis/admissionregistration/v1/defaults.go.
"""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources import generation


def default_webhook(webhook: Obj) -> None:
    webhook.setdefault("failurePolicy", "Fail")
    webhook.setdefault("matchPolicy", "Equivalent")
    webhook.setdefault("namespaceSelector", {})
    webhook.setdefault("objectSelector", {})
    webhook.setdefault("timeoutSeconds", 10)
    for rule in webhook.get("rules") or ():
        default_rule(rule)
    service = at(webhook, "clientConfig", "service")
    if service is not None:
        service.setdefault("port", 443)


def default_rule(rule: Obj) -> None:
    rule.setdefault("scope", "*")


def default_match(match: Obj | None) -> None:
    """MatchResources of a policy or binding."""
    if match is None:
        return
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    for field in ("resourceRules", "excludeResourceRules"):
        for rule in match.get(field) or ():
            default_rule(rule)


def param_kind(policy: Obj, _: datetime) -> Any:
    kind = at(policy, "spec", "paramKind")
    return "<unset>" if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def param_ref(binding: Obj, _: datetime) -> Any:
    ref = at(binding, "spec", "paramRef")
    if ref is None:
        return "<unset>"
    if ref.get("name"):
        return f"{ref.get('namespace') or '*'}/{ref['name']}"
    return _go_selector(ref["selector"]) if "selector" in ref else "<unset>"


def _go_selector(selector: Obj) -> str:
    """As Go prints the struct."""
    labels = "".join(f"{k}: {v}," for k, v in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.get('key', '')},Operator:{e.get('operator', '')},"
        f"Values:[{' '.join(e.get('values') or ())}],}},"
        for e in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


def webhooks_updated(new: Obj, old: Obj) -> None:
    generation.bump(new, old, also=new.get("webhooks") != old.get("webhooks"))


def spec_updated(new: Obj, old: Obj) -> None:
    generation.bump(new, old)
