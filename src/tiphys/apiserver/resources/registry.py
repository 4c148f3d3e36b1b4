"""All built-in resources with their rules."""

from tiphys.api.resources import RESOURCES
from tiphys.apiserver.resources.resource import Resource


def all_resources() -> list[Resource]:
    return [Resource(info) for info in RESOURCES]
