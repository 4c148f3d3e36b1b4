"""MutatingWebhookConfiguration.

Upstream: pkg/registry/admissionregistration/mutatingwebhookconfiguration.
"""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.admissionregistration import rules
from tiphys.apiserver.resources.admissionregistration.webhooks import (
    default_webhook,
    webhooks_updated,
)
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.warnings import static_name

_INFO = built_in("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")


def default(configuration: Obj) -> None:
    for webhook in configuration.get("webhooks") or ():
        default_webhook(webhook)
        webhook.setdefault("reinvocationPolicy", "Never")


MUTATING_WEBHOOK_CONFIGURATION = Resource(
    _INFO,
    validate=rules.validate,
    warnings=static_name,
    columns=columns_of(_INFO, cells.name, cells.count("webhooks"), cells.age),
    default=default,
    before_create=generation.start,
    before_update=webhooks_updated,
    allow_unconditional_update=False,
)
