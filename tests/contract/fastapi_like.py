"""Compares the API with FastAPI, by which FLAME's Pod Orchestrator answers: the same calls to both.

The application here has FLAME's routes and bodies, and knows of no analysis. What is answered otherwise on purpose stands
in OTHERWISE, with the reason.

    fastapi_like.py API TOKEN
"""

import asyncio
import sys
import uuid

import fastapi
import httpx
import pydantic
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

API, TOKEN = sys.argv[1:]
ID = str(uuid.uuid4())
KNOWN = "(known types: 'zombies', 'all', 'analyzes', 'keycloak', 'services', 'mb', and 'rs')"


class CreateAnalysis(pydantic.BaseModel):
    analysis_id: str
    project_id: str
    registry_url: str
    image_url: str
    registry_user: str
    registry_password: str
    kong_token: str
    restart_counter: int = 0
    progress: int = 0


class CreateLogEntity(pydantic.BaseModel):
    log: str
    log_type: str
    analysis_id: str
    status: str
    progress: int = 0


def application():
    bearer = HTTPBearer(auto_error=False)

    def accepted(shown: HTTPAuthorizationCredentials | None = fastapi.Depends(bearer)):
        if shown is None or shown.credentials != TOKEN:
            raise fastapi.HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})

    protected = fastapi.APIRouter(prefix="/po", dependencies=[fastapi.Depends(accepted)])

    @protected.post("/")
    def create(body: CreateAnalysis):
        return {body.analysis_id: "started"}

    @protected.post("/stream_logs")
    def stream(body: CreateLogEntity):
        return None

    def both(method, path, all_of_them, one):
        method(path)(lambda: all_of_them)

        @method(path + "/{analysis_id}")
        def answer(analysis_id: str):
            return one(analysis_id)

    logs = {"analysis": {}, "nginx": {}}
    both(protected.get, "/status", {}, lambda _: {})
    both(protected.get, "/logs", logs, lambda _: logs)
    both(protected.get, "/history", logs, lambda _: logs)
    both(protected.get, "/pods", {}, lambda one: {one: []})
    both(protected.put, "/stop", {}, lambda _: {})
    both(protected.delete, "/delete", {}, lambda _: {})

    @protected.delete("/cleanup/{types}")
    def cleanup(types: str):
        unknown = {name: f"Unknown cleanup type: {name} {KNOWN}" for name in types.split(",")}
        return {**unknown, "zombies": "Deleted 0 zombie deployments\n"}

    made = fastapi.FastAPI(docs_url="/api/docs", redoc_url="/api/redoc", openapi_url="/api/v1/openapi.json")
    made.include_router(protected)
    made.get("/po/healthz")(lambda: {"status": "ok"})
    return made


WHOLE = {
    "analysis_id": ID, "project_id": ID, "registry_url": "r", "image_url": "r/i", "registry_user": "u",
    "registry_password": "p", "kong_token": "k",
}
LINE = {"log": "x", "log_type": "info", "analysis_id": ID, "status": "executing", "progress": 1}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
PATHS = [
    "/po/status", "/po/logs", "/po/history", "/po/pods", "/po/stop", "/po/delete", "/po/stream_logs", "/po/healthz", "/po/",
    f"/po/status/{ID}", f"/po/logs/{ID}", f"/po/history/{ID}", f"/po/pods/{ID}", f"/po/stop/{ID}", f"/po/delete/{ID}",
    "/po/cleanup/x",
]
NOWHERE = [
    "/", "/p", "/pox", "/PO", "/po/nothing", "/po/Status", "/po/cleanup", "/po/cleanup/", "/po/cleanup/a/b", f"/po/status/{ID}/x",
    f"/po/{ID}/status", "/po/stream_logs/x", "/po/healthz/x", "/po//", "//po", "/po//status", "/api", "/api/v1", "/docs",
    "/openapi.json", "/metrics", "/po/../po/nothing",
]


def calls():
    """Method, path, and what is sent: a value that is sent as JSON, bytes, or nothing."""
    for path in PATHS:
        for method in METHODS:
            # What makes or changes something is another test's; here it finds nothing.
            yield method, path, None
    for path in NOWHERE:
        for method in ["GET", "POST", "DELETE"]:
            yield method, path, None
    for path in ["/po", "/po/status/", f"/po/pods/{ID}/", "/po/stop/", "/po/cleanup/x,y/", "/po/healthz/"]:
        for method in ["GET", "PUT", "DELETE"]:
            yield method, path, None
    for path, whole in [("/po/", WHOLE), ("/po/stream_logs", LINE)]:
        yield from (("POST", path, body) for body in [b"", b"{", b"nonsense", b'"', b"\xff", b"null", [], "x", 7, {}, {"more": 1}])
        for field in whole:
            yield "POST", path, {name: value for name, value in whole.items() if name != field}
            for wrong in [[], {}, True] if field in ("restart_counter", "progress") else [7, None, [], {}, True]:
                yield "POST", path, {**whole, field: wrong}
        for wrong in ["x", [], {}, 1.5, -0.5]:
            yield "POST", path, {**whole, "progress": wrong}
    yield "DELETE", "/po/cleanup/a%20b,%C3%BC", None
    yield "DELETE", "/po/cleanup/x%2Cy", None
    yield "GET", "/po/status?x=1", None
    yield "GET", f"/po/status/{ID}?x=1", None
    for path in ["/api/docs", "/api/redoc", "/api/v1/openapi.json"]:
        yield from ((method, path, None) for method in ["GET", "HEAD", "POST"])


# Who asks, for every one of a few calls.
TOKENS = [None, "", "Bearer", "Bearer x", f"Basic {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN}", TOKEN]

# What is answered otherwise on purpose: method, path, what is sent, both answers' statuses, and why.
OTHERWISE = [
    ("POST", "/po/stream_logs", {**LINE, "progress": True}, (200, 422), "yes is no number"),
]


async def answer(client, method, path, body, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    sent = {}
    if isinstance(body, bytes):
        sent["content"] = body
        headers["Content-Type"] = "application/json"
    elif body is not None:
        sent["json"] = body
    return await client.request(method, path, headers=headers, follow_redirects=True, **sent)


def seen(response, method, path):
    """What a caller goes by: status, form and what is said; of a body's faults where and of what kind."""
    told = {name: response.headers.get(name) for name in ["allow", "www-authenticate"]}
    told["allow"] = told["allow"] and sorted(told["allow"].split(", "))
    told["content-type"] = (response.headers.get("content-type") or "").split(";")[0]
    if method == "HEAD" or told["content-type"] == "text/html" or path.endswith("openapi.json") and response.status_code == 200:
        return response.status_code, told, None
    said = response.json()
    if isinstance(said, dict) and isinstance(said.get("detail"), list):
        # Where in a text JSON ends is told by FastAPI alone.
        said = [(fault["type"], tuple(part for part in fault["loc"] if isinstance(part, str))) for fault in said["detail"]]
    if isinstance(said, dict) and "zombies" in said:
        said["zombies"] = "…"
    return response.status_code, told, said


async def main():
    here = httpx.AsyncClient(transport=httpx.ASGITransport(application()), base_url=API)
    there = httpx.AsyncClient(base_url=API, trust_env=False)
    table = [(*call, f"Bearer {TOKEN}") for call in calls()]
    table += [(method, path, None, token) for token in TOKENS for method, path in [("GET", "/po/status"), ("DELETE", f"/po/delete/{ID}")]]
    differences, excused = [], []
    for method, path, body, authorization in table:
        both = [await answer(client, method, path, body, authorization) for client in (here, there)]
        theirs, ours = [seen(response, method, path) for response in both]
        excuse = [one for one in OTHERWISE if one[:4] == (method, path, body, (theirs[0], ours[0]))]
        excused += excuse
        if theirs != ours and not excuse:
            differences.append(f"{method} {path} {body} {(authorization or '')[:10]}\n   FastAPI {theirs}\n   we      {ours}")
    differences += [f"needs no excuse any more: {one}" for one in OTHERWISE if one not in excused]
    print("\n".join(differences) or f"{len(table)} calls are answered as by FastAPI")
    sys.exit(1 if differences else 0)


asyncio.run(main())
