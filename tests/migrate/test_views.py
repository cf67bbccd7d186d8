"""Views of a Flask app, one by one: which only forward, and which merely look like it."""

from pathlib import Path

import pytest

from tests.migrate.test_large_apps import Read
from tests.migrate.test_migrate import migrated

HEAD = """
import logging, requests, urllib3
from flask import Flask, Response, abort, g, jsonify, make_response, request, stream_with_context
app = Flask(__name__, static_folder=None)
log = logging.getLogger(__name__)
pool = urllib3.PoolManager()
USERS = "http://users:9001"
"""
ASK = 'r = requests.get(f"{USERS}/u/{id}", params=request.args, headers=request.headers)'
FORWARDS = {
    "urllib3": """
r = pool.request("GET", f"{USERS}/u/{id}", preload_content=False)
return Response(r.data, status=r.status)""",
    "a generator of its pieces": f"""
{ASK}
def pieces():
    for piece in r.iter_content(8192):
        yield piece
return Response(stream_with_context(pieces()), status=r.status_code)""",
    "fields one by one": f"""
{ASK}
answer = make_response(r.content, r.status_code)
answer.headers["Content-Type"] = r.headers["Content-Type"]
return answer""",
    "fields in a loop": f"""
{ASK}
answer = Response(r.content, r.status_code)
for name, value in r.headers.items():
    if name.lower() not in ("connection", "transfer-encoding"):
        answer.headers[name] = value
return answer""",
    "errors in its own words": f"""
try:
    {ASK}
except requests.Timeout as error:
    log.warning("late: %s", error)
    return jsonify(error="late"), 504
if r.status_code != 200:
    return jsonify(error="upstream"), 502
return r.json(), r.status_code""",
}
DOES_MORE = {
    "a member taken out": """
data = requests.get(f'{USERS}/u/{id}').json()
data.pop('password', None)
return jsonify(data)""",
    "a member deleted": """
data = requests.get(f'{USERS}/u/{id}').json()
del data['password']
return jsonify(data)""",
    "a member put in": """
data = requests.get(f'{USERS}/u/{id}').json()
data['at'] = request.args['at']
return jsonify(data)""",
    "a part of it": "return jsonify(requests.get(f'{USERS}/u/{id}').json()['public'])",
    "a member by get": "return jsonify(requests.get(f'{USERS}/u/{id}').json().get('public'))",
    "text replaced": "return requests.get(f'{USERS}/u/{id}').text.replace('http:', 'https:')",
    "who may see it is in it": f"""
{ASK}
if r.json()['owner'] != g.user:
    abort(403)
return r.content, r.status_code""",
    "who may see it is elsewhere": f"""
{ASK}
if g.user.banned:
    abort(403)
return r.content, r.status_code""",
    "another service instead": f"""
{ASK}
if r.status_code == 404:
    return requests.get(f"http://attic:1/u/{{id}}").content
return r.content, r.status_code""",
    "a field of its own on the answer": f"""
{ASK}
answer = make_response(r.content, r.status_code)
answer.headers["Cache-Control"] = "max-age=60"
return answer""",
    "a field that is computed": """
fields = dict(request.headers)
fields["X-User"] = g.user.name
r = requests.get(f"{USERS}/u/{id}", headers=fields)
return r.content, r.status_code""",
    "a body of its own": """
r = requests.get(f'{USERS}/u/{id}', json={'as': 'gateway'})
return r.content, r.status_code""",
    "a query by another name": """
r = requests.get(f"{USERS}/u/{id}", params={"q": request.args["query"]})
return r.content, r.status_code""",
}


def view(number: int, body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f'\n@app.get("/v{number}/<int:id>")\ndef view{number}(id):\n{lines}'


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """By name: what is said, and how many native routes are proposed."""
    folder: Path = tmp_path_factory.mktemp("views")
    views = {**FORWARDS, **DOES_MORE}
    source = HEAD + "".join(view(number, body) for number, body in enumerate(views.values()))
    (folder / "views.py").write_text(source)
    told = Read(migrated("views:app", folder))
    paths = {name: f"/v{number}/{{id:int}}" for number, name in enumerate(views)}
    return {name: (told.says[path], len(told.native[path])) for name, path in paths.items()}


@pytest.mark.parametrize("name", FORWARDS)
def test_a_view_that_only_forwards_has_its_native_route(read: dict[str, tuple[str, int]], name: str) -> None:
    says, proposed = read[name]
    assert "only forwards: GET http://users:9001/u/{id}" in says
    assert proposed == 1
    assert ("in its own words (line " in says) == (name == "errors in its own words")


@pytest.mark.parametrize("name", DOES_MORE)
def test_a_view_that_does_more_has_none(read: dict[str, tuple[str, int]], name: str) -> None:
    says, proposed = read[name]
    assert "http://users:9001/u/{id}" in says
    assert proposed == 0, says
