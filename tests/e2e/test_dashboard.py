"""The dashboard in a real browser: each thing that a user does there."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from e2e.browser import chromium, dashboard, watched_page
from e2e.clusters import TIPHYS, Cluster, kubectls, until

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
HELLO = "gcr.io/hello-minikube-zero-install/hello-node"


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> Iterator[str]:
    with dashboard(cluster) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = chromium(playwright)
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with watched_page(browser, address) as found:
        yield found


@pytest.fixture
def hello(cluster: Cluster, namespace: str) -> str:
    """A Deployment of one pod that runs. Returns its namespace."""
    cluster.kubectl("create", "deployment", "hello", f"--image={HELLO}", "-n", namespace)
    until(lambda: cluster.running_pods("app=hello", namespace), what="hello runs")
    return namespace


def make(cluster: Cluster, namespace: str, kind: str, name: str, **fields: Any) -> None:
    meta = {"name": name, "namespace": namespace}
    obj = {"apiVersion": "v1", "kind": kind, "metadata": meta, **fields}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))


def make_pod(cluster: Cluster, namespace: str, name: str, script: str, **fields: Any) -> None:
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", script], **fields}
    spec = {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
    make(cluster, namespace, "Pod", name, spec=spec)


def pod_of(cluster: Cluster, namespace: str) -> str:
    return str(cluster.running_pods("app=hello", namespace)[0]["metadata"]["name"])


def test_prints_the_address_of_the_notebook(cluster: Cluster, address: str) -> None:
    assert address.startswith("http://127.0.0.1:")
    path = "/api/v1/namespaces/kubernetes-dashboard/services/http:kubernetes-dashboard:/proxy/"
    assert address.endswith(path)


def test_says_each_step(cluster: Cluster) -> None:
    words = [str(TIPHYS), "-p", cluster.name, "dashboard"]
    env = {k: v for k, v in cluster.env.items() if k not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    began = time.monotonic()
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        took = time.monotonic() - began
        process.terminate()
    wanted = ["Enabling dashboard", "Verifying dashboard health", "Launching proxy"]
    for line, text in zip(lines, [*wanted, "Verifying proxy health", "Opening http"], strict=True):
        assert text in line
    assert took <= 3.0


def test_the_overview_says_what_runs_and_what_is_wrong(
    cluster: Cluster, hello: str, page: Page, address: str
) -> None:
    cluster.kubectl("create", "deployment", "broken", "--image=none.invalid/x:1", "-n", hello)
    page.goto(f"{address}#/overview?ns={hello}")
    runs = page.get_by_role("region", name="What runs")
    expect(runs.get_by_role("row", name="hello").first).to_contain_text("1/1")
    wrong = page.get_by_role("region", name="Needs attention")
    expect(wrong).to_contain_text("MinimumReplicasUnavailable")
    expect(wrong).to_contain_text("none.invalid/x:1")
    cluster.kubectl("delete", "deployment", "broken", "-n", hello)
    expect(wrong).to_contain_text("Everything is healthy")


def test_lists_every_kind_with_the_servers_columns(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("navigation").get_by_text("All other kinds").click()
    links = page.get_by_role("navigation").get_by_role("link")
    names = links.all_inner_texts()
    assert len(names) >= 50
    for name, column in (("nodes", "Roles"), ("services", "Cluster-IP"), ("leases", "Holder")):
        page.get_by_role("navigation").get_by_role("link", name=name).first.click()
        expect(page.get_by_role("columnheader", name=column)).to_be_visible()


def test_filters_sorts_and_stays_live(
    cluster: Cluster, namespace: str, page: Page, address: str
) -> None:
    for name in ("beta", "alpha", "gamma"):
        make(cluster, namespace, "ConfigMap", name)
    page.goto(f"{address}#/list/core/configmaps?ns={namespace}")
    rows = page.get_by_role("grid").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("alpha")
    page.get_by_role("button", name="Name").click()
    page.get_by_role("button", name="Name").click()
    expect(rows.nth(1)).to_contain_text("kube-root-ca.crt")
    page.keyboard.press("/")
    page.keyboard.type("!root eta")
    expect(rows).to_have_count(2)
    page.get_by_label("Filter the list").fill("")
    make(cluster, namespace, "ConfigMap", "zeta")
    expect(rows.nth(1)).to_contain_text("zeta")
    cluster.kubectl("delete", "configmap", "zeta", "-n", namespace)
    expect(rows.nth(1)).to_contain_text("kube-root-ca.crt")


def test_goes_on_after_its_connection_broke(
    cluster: Cluster, namespace: str, page: Page, address: str
) -> None:
    page.add_init_script(
        "window.opened = []; const Plain = WebSocket;"
        "window.WebSocket = class extends Plain {"
        "  constructor(...all) { super(...all); window.opened.push(this); } };"
    )
    page.goto(f"{address}#/list/core/configmaps?ns={namespace}")
    expect(page.get_by_role("grid")).to_contain_text("kube-root-ca.crt")
    # Everything that is live shares one connection.
    assert page.evaluate("window.opened.length") == 1
    page.evaluate("window.opened[0].close()")
    make(cluster, namespace, "ConfigMap", "later")
    expect(page.get_by_role("grid")).to_contain_text("later")
    assert page.evaluate("window.opened.length") == 2


def test_details_show_conditions_events_and_owners(
    cluster: Cluster, hello: str, page: Page, address: str
) -> None:
    page.goto(f"{address}#/object/core/pods/{hello}/{pod_of(cluster, hello)}/summary")
    expect(page.get_by_role("region", name="Conditions")).to_contain_text("ContainersReady")
    expect(page.get_by_role("region", name="Events")).to_contain_text("Started")
    page.get_by_role("link", name="hello-").first.click()
    expect(page.get_by_text("ReplicaSet", exact=True).first).to_be_visible()
    page.get_by_role("link", name="hello", exact=True).click()
    expect(page.get_by_role("region", name="Conditions")).to_contain_text("Available")


def test_follows_and_searches_a_log(
    cluster: Cluster, namespace: str, page: Page, address: str
) -> None:
    script = "for i in $(seq 3000); do echo line $i; done; while sleep 0.2; do echo tick; done"
    make_pod(cluster, namespace, "talk", script)
    page.goto(f"{address}#/list/core/pods?ns={namespace}")
    expect(page.get_by_role("grid")).to_contain_text("Running")
    page.keyboard.press("l")
    expect(page.get_by_role("log")).to_contain_text("tick")
    page.keyboard.press("/")
    page.keyboard.type("line 2999")
    expect(page.get_by_text("1 of 3")).to_be_visible()
    page.get_by_label("only hits").check()
    expect(page.get_by_role("log").locator("mark")).to_have_text("line 2999")


def test_shows_the_log_of_the_run_before(
    cluster: Cluster, namespace: str, page: Page, address: str
) -> None:
    script = "if [ -e /data/x ]; then echo second; sleep 1000; else touch /data/x; echo first; fi"
    mounts = [{"name": "data", "mountPath": "/data"}]
    make_pod(cluster, namespace, "twice", script, volumeMounts=mounts)
    page.goto(f"{address}#/object/core/pods/{namespace}/twice/logs")
    expect(page.get_by_role("log")).to_contain_text("second")
    page.get_by_label("previous").check()
    expect(page.get_by_role("log")).to_have_text("first")


def test_opens_a_shell(cluster: Cluster, hello: str, page: Page, address: str) -> None:
    page.goto(f"{address}#/object/core/pods/{hello}/{pod_of(cluster, hello)}/shell")
    expect(page.get_by_text("connected", exact=True)).to_be_visible()
    page.keyboard.type("echo $((6 * 7))shell\n")
    expect(page.locator(".xterm-rows")).to_contain_text("42shell")
    page.keyboard.type("exit\n")
    expect(page.get_by_text("the shell has ended")).to_be_visible()


def test_shows_what_an_edit_changes_before_it_is_made(
    cluster: Cluster, namespace: str, page: Page, address: str
) -> None:
    make(cluster, namespace, "ConfigMap", "paint", data={"colour": "blue"})
    page.goto(f"{address}#/object/core/configmaps/{namespace}/paint/yaml")
    text = page.get_by_label("YAML of paint")
    expect(text).to_have_value(re.compile("colour: blue"))
    text.fill(text.input_value().replace("blue", "green"))
    page.get_by_role("button", name="Review changes").click()
    changes = page.get_by_label("Changes")
    expect(changes.locator(".removed")).to_have_text("-   colour: blue")
    expect(changes.locator(".added")).to_have_text("+   colour: green")
    assert cluster.get("configmap", "paint", "-n", namespace)["data"] == {"colour": "blue"}
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("paint is changed")).to_be_visible()
    assert cluster.get("configmap", "paint", "-n", namespace)["data"] == {"colour": "green"}


def test_creates_from_a_form_and_from_yaml(
    cluster: Cluster, namespace: str, page: Page, address: str
) -> None:
    page.goto(f"{address}#/create?ns={namespace}")
    page.get_by_label("Name", exact=True).fill("made")
    page.get_by_label("Image", exact=True).fill(HELLO)
    page.get_by_label("Port", exact=True).fill("8080")
    page.get_by_role("button", name="Write YAML").click()
    page.get_by_role("button", name="Check (dry run)").click()
    expect(
        page.get_by_text("The server would create: deployment made, service made")
    ).to_be_visible()
    assert "made" not in cluster.kubectl("get", "deployments", "-n", namespace)
    page.get_by_role("main").get_by_role("button", name="Create").click()
    expect(page.get_by_role("region", name="What runs")).to_contain_text("made")
    until(lambda: cluster.running_pods("app=made", namespace), what="made runs")
    page.goto(f"{address}#/create?ns={namespace}")
    page.get_by_label("Manifest").fill("apiVersion: v1\nkind: Pod\nmetadata:\n  name: Bad_Name\n")
    page.get_by_role("main").get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("Bad_Name")


def test_scales_restarts_and_deletes(
    cluster: Cluster, hello: str, page: Page, address: str
) -> None:
    page.goto(f"{address}#/object/apps/deployments/{hello}/hello/summary")
    page.get_by_role("button", name="Scale").click()
    page.get_by_label("Replicas").fill("2")
    page.get_by_role("dialog").get_by_role("button", name="Scale").click()
    until(lambda: len(cluster.running_pods("app=hello", hello)) == 2, what="two pods")
    before = pod_of(cluster, hello)
    page.get_by_role("button", name="Restart", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Restart", exact=True).click()
    until(lambda: before not in cluster.kubectl("get", "pods", "-n", hello), what="others")
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("#/list/apps/deployments"))
    until(lambda: "hello" not in cluster.kubectl("get", "deployments", "-n", hello), what="gone")


def test_rolls_back(cluster: Cluster, hello: str, page: Page, address: str) -> None:
    change = [
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "busybox"}
    ]
    cluster.real(
        kubectls()[-1],
        "patch",
        "deployment",
        "hello",
        "-n",
        hello,
        "--type=json",
        "-p",
        json.dumps(change),
    )
    page.goto(f"{address}#/object/apps/deployments/{hello}/hello/revisions")
    page.get_by_role("button", name="Roll back to 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("row", name="3").first).to_contain_text("current")
    container = cluster.get("deployment", "hello", "-n", hello)["spec"]["template"]["spec"]
    assert container["containers"][0]["image"] == HELLO


def test_shows_images_and_the_layers_they_share(page: Page, address: str) -> None:
    page.goto(f"{address}#/images")
    row = page.get_by_role("region", name="In the registry").get_by_role("row", name="hello-node")
    expect(row).to_contain_text(re.compile("shared by [0-9]+ images"))
    expect(page.get_by_role("region", name="On nodes")).to_contain_text("tiphys/dashboard")


def test_charts_cpu_and_memory(cluster: Cluster, hello: str, page: Page, address: str) -> None:
    sampled = f"/apis/metrics.k8s.io/v1beta1/namespaces/{hello}/pods"
    until(
        lambda: json.loads(cluster.real(kubectls()[-1], "get", "--raw", sampled))["items"],
        what="a sample",
    )
    page.goto(f"{address}#/overview")
    usage = page.get_by_role("region", name="CPU and memory")
    expect(usage.get_by_role("img", name=re.compile("CPU: [0-9.]+m? of [0-9]"))).to_be_visible()
    expect(usage.get_by_role("img", name=re.compile("memory: .*iB of .*iB"))).to_be_visible()
    page.goto(f"{address}#/object/core/pods/{hello}/{pod_of(cluster, hello)}/summary")
    memory = usage.get_by_role("img", name=re.compile("Memory: [0-9]"))
    expect(memory.locator("polyline")).to_have_attribute(
        "points", re.compile(" .* "), timeout=30_000
    )


def test_keys_reach_everything(cluster: Cluster, hello: str, page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.locator("#namespace option", has_text=hello)).to_be_attached()
    page.keyboard.press("n")
    page.keyboard.type(hello)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"ns={hello}"))
    page.keyboard.press(":")
    page.keyboard.type("po")
    page.keyboard.press("Enter")
    rows = page.get_by_role("grid").get_by_role("row")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Containers")).to_be_visible()
    for key, where in (("2", "yaml"), ("l", "logs"), ("s", "shell")):
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile(where))
    page.goto(f"{address}#/list/apps/deployments?ns={hello}")
    expect(rows.nth(1)).to_contain_text("hello")
    page.keyboard.press("=")
    expect(page.get_by_label("Replicas")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("filter the list")


def test_dark_and_light(page: Page, address: str) -> None:
    def colour() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="dark")
    page.goto(address)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    dark = colour()
    page.keyboard.press("t")
    assert colour() != dark
    page.reload()
    assert colour() != dark
    page.evaluate("localStorage.clear()")
    page.emulate_media(color_scheme="light")
    page.reload()
    assert colour() != dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    cluster: Cluster, hello: str, page: Page, address: str, scheme: Literal["light", "dark"]
) -> None:
    pod = pod_of(cluster, hello)
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    found = []
    for view in (
        f"overview?ns={hello}",
        f"list/core/pods?ns={hello}",
        f"object/core/pods/{hello}/{pod}/summary",
        f"object/core/pods/{hello}/{pod}/yaml",
        f"object/core/pods/{hello}/{pod}/logs",
        f"object/core/pods/{hello}/{pod}/shell",
        f"object/apps/deployments/{hello}/hello/revisions",
        "images",
        "create",
    ):
        page.goto(f"{address}#/{view}")
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_load_state("networkidle")
        # Debuggers are not held to the policy: page.evaluate runs what a script element could not.
        page.evaluate(AXE.read_text())
        result = page.evaluate("axe.run()")
        serious = [v for v in result["violations"] if v["impact"] in {"serious", "critical"}]
        found += [(view, v["id"], v["nodes"][0]["html"][:200]) for v in serious]
    assert found == []


def test_works_through_kubectl_proxy(cluster: Cluster, address: str, browser: Browser) -> None:
    words = [str(kubectls()[-1]), "proxy", "--port=0"]
    page = browser.new_page()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=cluster.env) as proxy:
        assert proxy.stdout is not None
        try:
            host = proxy.stdout.readline().split()[-1]
            path = address.split("/", 3)[3]
            page.goto(f"http://{host}/{path}#/list/core/configmaps?ns=default")
            expect(page.get_by_role("grid")).to_contain_text("kube-root-ca.crt")
            make(cluster, "default", "ConfigMap", "by-kubectl")
            expect(page.get_by_role("grid")).to_contain_text("by-kubectl")
            cluster.kubectl("delete", "configmap", "by-kubectl", "-n", "default")
            expect(page.get_by_role("grid")).not_to_contain_text("by-kubectl")
        finally:
            page.close()
            proxy.terminate()


def test_no_script_of_others_and_no_secret_in_the_address(browser: Browser, address: str) -> None:
    page = browser.new_page()
    answer = page.goto(address)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("Object.keys(localStorage)") == []
    with pytest.raises(Error, match="Content Security Policy"):
        page.add_script_tag(content="window.bad = 1")
    page.close()


def test_is_an_addon(cluster: Cluster, address: str) -> None:
    def status() -> Any:
        found = json.loads(cluster.tiphys("addons", "list", "-o", "json").stdout)
        return [one for one in found if one["name"] == "dashboard"]

    assert status() == [{"name": "dashboard", "enabled": True}]
    cluster.tiphys("addons", "disable", "dashboard")
    assert status() == [{"name": "dashboard", "enabled": False}]
    assert "kubernetes-dashboard" not in cluster.kubectl("get", "namespaces")
    cluster.tiphys("addons", "enable", "dashboard")
    assert status() == [{"name": "dashboard", "enabled": True}]
