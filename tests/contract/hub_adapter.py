"""Calls the API as FLAME's Hub adapter (0.8) does, and takes its answers as that does.

The adapter is on no package index, so its calls are written down here: which paths, which headers, which bodies, and by
which rules the answers are read. What it reads wrong is an error 500 to its user.

    hub_adapter.py API REALM HUB_ADAPTER_SECRET NODE_UI_SECRET USER_PASSWORD
"""

import enum
import json
import sys
import time
import uuid

import httpx
import pydantic

API, REALM, SECRET, UI_SECRET, PASSWORD = sys.argv[1:]
FIELDS = ["analysis_id", "project_id", "registry_url", "registry_user", "registry_password", "image_url", "kong_token"]


class PodStatus(enum.StrEnum):
    """All that a status may be, as the adapter lists them."""

    STARTING = "starting"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    EXECUTING = "executing"
    EXECUTED = "executed"
    STUCK = "stuck"
    FAILED = "failed"


class Progress(pydantic.BaseModel):
    status: PodStatus
    progress: int | None = None


Statuses = pydantic.RootModel[dict[uuid.UUID, PodStatus | None]]
Progresses = pydantic.RootModel[dict[uuid.UUID, Progress]]
Texts = pydantic.RootModel[dict[uuid.UUID, list[str | None]]]


class Logs(pydantic.BaseModel):
    analysis: Texts | None = None
    nginx: Texts | None = None


class Cleanup(pydantic.BaseModel):
    all: str | None = None
    analyzes: str | None = None
    services: str | None = None
    mb: str | None = None
    rs: str | None = None
    zombies: str | None = None


# One client for everything, as the adapter has it, so that what one call leaves unread would spoil the next.
client = httpx.Client(trust_env=False)


def granted(form):
    """A token from where the realm's own description says."""
    described = client.get(f"{REALM}/.well-known/openid-configuration").json()
    answer = client.post(described["token_endpoint"], data=form)
    answer.raise_for_status()
    return answer.json()["access_token"]


def own_token():
    return granted({"grant_type": "client_credentials", "client_id": "hub-adapter", "client_secret": SECRET})


def user_token(client_id, secret):
    login = {"username": "flameuser", "password": PASSWORD, "scope": "openid"}
    return granted({"grant_type": "password", "client_id": client_id, "client_secret": secret, **login})


def make_request(method, path, headers, data=None):
    """Every call has a JSON body, if only an empty one, and redirections are followed."""
    answer = client.request(
        method, API + path, params={}, json=data or {}, files={}, headers=headers, follow_redirects=True, timeout=60.0
    )
    assert not answer.history, f"{method} {path} was redirected"
    answer.raise_for_status()
    return answer.json(), answer.status_code


def of_browser(token):
    """What is left of a browser's headers when a gateway has passed them on: all but host, length and type."""
    return {
        "accept": "application/json, text/plain, */*", "accept-encoding": "gzip, deflate, br, zstd", "accept-language": "de,en;q=0.7",
        "authorization": f"Bearer {token}", "connection": "keep-alive", "cookie": "auth=1; theme=dark", "dnt": "1",
        "origin": "https://node.example", "referer": "https://node.example/analyses", "sec-fetch-dest": "empty",
        "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
        "x-forwarded-for": "10.1.2.3", "x-forwarded-host": "node.example", "x-forwarded-port": "443",
        "x-forwarded-proto": "https", "x-forwarded-scheme": "https", "x-real-ip": "10.1.2.3",
        "x-request-id": "5c1c0f5a8a3b4b7f", "x-scheme": "https",
    }


class Gateway:
    """The routes that it passes on for a user."""

    def __init__(self, token):
        self.headers = of_browser(token)

    def ask(self, method, path, model, data=None):
        said, status = make_request(method, path, self.headers, data)
        return model.model_validate(said), status

    def create(self, props):
        return self.ask("post", "/po", Statuses, {field: props[field] for field in FIELDS})

    def status(self, path=""):
        return self.ask("get", f"/po/status{path}", Progresses)[0].root

    def logs(self, kind, path=""):
        return self.ask("get", f"/po/{kind}{path}", Logs)[0]

    def pods(self, path=""):
        return self.ask("get", f"/po/pods{path}", Texts)[0].root

    def stop(self, path=""):
        return self.ask("put", f"/po/stop{path}", Statuses)[0].root

    def delete(self, path=""):
        return self.ask("delete", f"/po/delete{path}", Statuses)[0].root

    def cleanup(self, kind):
        return self.ask("delete", f"/po/cleanup/{kind}", Cleanup)[0]


class Autostart:
    """What it starts and ends by itself, with a token of its own and no other header."""

    def headers(self):
        return {"Authorization": f"Bearer {own_token()}"}

    def start(self, props):
        said, status = make_request("post", "/po/", self.headers(), props)
        return said[props["analysis_id"]], status

    def status(self, analysis):
        return make_request("get", f"/po/status/{analysis}", self.headers())[0]

    def terminate(self, analysis):
        return make_request("delete", f"/po/delete/{analysis}", self.headers())[0]


# Its image has passed (tests/cluster/scanned.rs).
SCANNED = uuid.UUID("5f2c1d4b-1c2b-4d3e-8f40-1a2b3c4d5e6f")


def props(analysis, project):
    """As it compiles them from what the Hub says of node and registry."""
    host, external_name = "harbor.example", "node"
    return {
        "image_url": f"{host}/{external_name}/{analysis}", "analysis_id": str(analysis), "project_id": str(project),
        "kong_token": "none_needed", "registry_url": host, "registry_user": "robot$node", "registry_password": "hunter2$",
    }


def until(wanted, ask):
    begun = time.monotonic()
    while (said := ask()) != wanted:
        assert time.monotonic() - begun < 60, f"{said} instead of {wanted}"
        time.sleep(0.1)


def pod_of(gateway, analysis, run):
    """The one item of its list, which is the text of a list; its pod comes a moment after its start."""
    until(True, lambda: gateway.pods(f"/{analysis}")[analysis] != [])
    [names] = gateway.pods(f"/{analysis}")[analysis]
    [name] = json.loads(names)
    assert name.startswith(f"analysis-{analysis}-{run}-"), name
    return names


def nothing_is_there(gateway, analysis):
    assert gateway.status() == gateway.status(f"/{analysis}") == {}
    assert gateway.pods() == {} and gateway.pods(f"/{analysis}") == {analysis: []}
    for kind in ["logs", "history"]:
        for path in ["", f"/{analysis}"]:
            assert gateway.logs(kind, path) == Logs(analysis={}, nginx={})
    assert gateway.stop(f"/{analysis}") == gateway.stop() == gateway.delete(f"/{analysis}") == gateway.delete() == {}


def a_life(gateway, autostart):
    """An analysis from its start by itself to its end, seen by a user."""
    analysis, project = SCANNED, uuid.uuid4()
    one = props(analysis, project)
    nothing_is_there(gateway, analysis)
    assert autostart.status(analysis) == {}
    # Only 201 counts as a start.
    assert autostart.start(one) == ("started", 201)
    # It cannot tell that an analysis runs already and asks again, and a user may as well: nothing changes.
    assert autostart.start(one)[0] in ("starting", "started")
    again, code = gateway.create(one)
    assert again.root[analysis] in (PodStatus.STARTING, PodStatus.STARTED) and code in (200, 201)
    until({analysis: Progress(status=PodStatus.STARTED, progress=0)}, lambda: gateway.status(f"/{analysis}"))
    assert autostart.status(analysis) == {str(analysis): {"status": "started", "progress": 0}}
    assert gateway.status()[analysis].status == PodStatus.STARTED
    names = pod_of(gateway, analysis, run=1)
    assert gateway.pods() == {analysis: [names]}
    for kind in ["logs", "history"]:
        for path in ["", f"/{analysis}"]:
            gateway.logs(kind, path)
    assert gateway.stop(f"/{analysis}") == {analysis: PodStatus.STOPPED}
    until({analysis: Progress(status=PodStatus.STOPPED, progress=0)}, lambda: gateway.status(f"/{analysis}"))
    for path in ["", f"/{analysis}"]:
        gateway.logs("history", path)
    assert gateway.create(one)[0].root == {analysis: PodStatus.STARTED}
    until({analysis: Progress(status=PodStatus.STARTED, progress=0)}, lambda: gateway.status(f"/{analysis}"))
    pod_of(gateway, analysis, run=2)
    assert gateway.stop() == {analysis: PodStatus.STOPPED}
    assert autostart.terminate(analysis) == {str(analysis): None}
    until({}, gateway.status)
    nothing_is_there(gateway, analysis)


def cleanups(gateway, autostart):
    """Every type that a user may choose; the adapter takes one at a time."""
    analysis = uuid.uuid4()
    for kind in ["all", "analyzes", "services", "mb", "rs", "keycloak", "zombies"]:
        said = gateway.cleanup(kind)
        assert said.zombies.startswith("Deleted 0 zombie deployments\nDeleted 0 zombie nginx-deployments\n"), said
        told = [name for name, text in said if text is not None]
        assert set(told) == ({kind} | {"zombies"}) - {"keycloak"}, said
    assert autostart.start(props(analysis, uuid.uuid4())) == ("started", 201)
    said = gateway.cleanup("analyzes")
    assert said.analyzes == f"Deleted 1 analysis deployments and associated resources from database (['{analysis}'])"
    until({}, gateway.status)


def refusals(gateway, autostart):
    """What it is told of wrong requests: a status, and a text that it passes on."""
    one = props(uuid.uuid4(), uuid.uuid4())
    elsewhere = {**one, "image_url": "elsewhere.example/x"}
    for ask, status in [
        (lambda: autostart.start(elsewhere), 422),
        (lambda: autostart.start({**one, "project_id": "x"}), 422),
        (lambda: Gateway("no.good.token").create(one), 401),
        (lambda: make_request("get", "/po/nothing", gateway.headers), 404),
    ]:
        try:
            ask()
        except httpx.HTTPStatusError as problem:
            assert problem.response.status_code == status and "detail" in problem.response.json(), problem.response.text
        else:
            raise AssertionError("this should have been refused")
    assert gateway.status() == {}


def main():
    probe = client.get(f"{API}/po/healthz", timeout=10.0)
    assert (probe.status_code, probe.json()) == (200, {"status": "ok"})
    # Where users log in at another realm than the node's own, the adapter asks with a token of its own.
    tokens = {"own": own_token(), "user": user_token("hub-adapter", SECRET), "user of the UI": user_token("node-ui", UI_SECRET)}
    for whose, token in tokens.items():
        a_life(Gateway(token), Autostart())
        print(f"an analysis's life, with the token: {whose}")
    cleanups(Gateway(tokens["user"]), Autostart())
    refusals(Gateway(tokens["user"]), Autostart())
    print("cleanups and refusals")


main()
