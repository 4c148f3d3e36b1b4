"""The operations that are no resource's: what groups, versions and resources there are.

Upstream: apiserver pkg/server/routes, pkg/endpoints/discovery; api/openapi-spec/v3.
"""

from dataclasses import dataclass
from typing import Final

from tiphys.api.resources import GroupVersionInfo
from tiphys.apiserver.openapi.paths import group_word, tag_of


@dataclass(frozen=True, slots=True)
class DiscoveryOperation:
    """A GET without parameters; an empty answer is a text."""

    path: str
    id: str
    description: str
    answer: str = ""  # A type of the schema.
    tag: str = ""  # What it is filed under.


# Documents of their own, by their place in the index of v3.
FIXED: Final = {
    "api": DiscoveryOperation(
        "/api/", "getCoreAPIVersions", "get available API versions", "meta.v1.APIVersions", "core"
    ),
    "apis": DiscoveryOperation(
        "/apis/", "getAPIVersions", "get available API versions", "meta.v1.APIGroupList", "apis"
    ),
    "version": DiscoveryOperation(
        "/version/", "getCodeVersion", "get the version information for this server", tag="version"
    ),
    "openid/v1/jwks": DiscoveryOperation(
        "/openid/v1/jwks/",
        "getServiceAccountIssuerOpenIDKeyset",
        "get service account issuer OpenID JSON Web Key Set (contains public token verification"
        " keys)",
        tag="openid",
    ),
    ".well-known/openid-configuration": DiscoveryOperation(
        "/.well-known/openid-configuration/",
        "getServiceAccountIssuerOpenIDConfiguration",
        "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
        tag="WellKnown",
    ),
}


def of_group(group: str) -> DiscoveryOperation:
    return DiscoveryOperation(
        f"/apis/{group}/",
        f"get{group_word(group)}APIGroup",
        "get information of a group",
        "meta.v1.APIGroup",
        tag_of(group),
    )


def of_version(found: GroupVersionInfo) -> DiscoveryOperation:
    base = f"/apis/{found.api_version}" if found.group else f"/api/{found.version}"
    return DiscoveryOperation(
        f"{base}/",
        f"get{group_word(found.group, found.version)}APIResources",
        "get available resources",
        "meta.v1.APIResourceList",
        tag_of(found.group, found.version),
    )
