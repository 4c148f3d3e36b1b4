"""Authorization mode AlwaysAllow: everything for whoever says who they are."""

from pathlib import Path

import uvloop

from support.api_server import NOBODY, memory_backend, start
from tiphys.apiserver.config import ALWAYS_ALLOW

ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
ALL_RULES = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


def test_everything_but_for_the_anonymous(tmp_path: Path) -> None:
    async def story() -> None:
        running, listening = await start(
            tmp_path, memory_backend(), authorization_modes=ALWAYS_ALLOW
        )
        nobody = running.client(NOBODY)
        made = {"metadata": {"name": "all"}, "rules": ALL_RULES}
        assert (await nobody("POST", ROLES, made))[0] == 201, "a role that grants more than is held"
        assert (await nobody("GET", "/api/v1/nodes"))[0] == 200
        _, answer = await nobody("POST", REVIEW, {"spec": {"namespace": "default"}})
        rules = answer["status"]["resourceRules"]
        assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in rules
        anonymous = running.client("")
        assert (await anonymous("GET", "/api/v1/nodes"))[0] == 403
        assert (await anonymous("GET", "/version"))[0] == 200
        await listening.__aexit__()

    uvloop.run(story())
