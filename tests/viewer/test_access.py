"""Nobody without the token, nothing outside of the opened slides."""

from __future__ import annotations

import os

import pytest
from fastapi.testclient import TestClient

from metaphase.viewer.access import cookie_name, new_token
from metaphase.viewer.slidecatalogue import find_images

from .conftest import TOKEN, picture


@pytest.fixture
def stranger(client):
    return TestClient(client.app, base_url="http://127.0.0.1:8765", follow_redirects=False)


PATHS = ["/", "/page/main.js", "/api/session", "/api/slides", "/api/export.zip", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_told(stranger, path):
    assert stranger.get(path).status_code == 401
    assert stranger.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_decision_needs_the_token_too(stranger, slug):
    answer = stranger.post(f"/api/slides/{slug.a}/decisions", json={})
    assert answer.status_code == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(stranger):
    answer = stranger.get("/", params={"token": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "./"
    assert "path" not in answer.headers["set-cookie"].lower()
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert cookie_name(TOKEN) in stranger.cookies
    assert stranger.get("/api/session").status_code == 200


def test_the_token_works_in_the_address_of_the_first_page_only(stranger):
    assert stranger.get("/api/slides", params={"token": TOKEN}).status_code == 401


def test_tokens_are_long_and_differ():
    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50
    assert min(map(len, tokens)) >= 43


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example"])
def test_other_names_for_this_machine_are_refused(client, host):
    assert client.get("/api/session", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:1", "[::1]:8765"])
def test_loopback_names_are_served(client, host):
    assert client.get("/api/session", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:9999", "null"])
def test_other_pages_cannot_send(client, slug, origin):
    body = {"figure": "", "state": "undone"}
    where = f"/api/slides/{slug.a}/decisions"
    assert client.post(where, json=body, headers={"Origin": origin}).status_code == 403
    own = {"Origin": "http://127.0.0.1:8765"}
    assert client.post(where, json=body, headers=own).status_code == 201


def test_the_page_loads_nothing_from_elsewhere(client):
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "http" not in answer.text.replace("<!doctype html>", "")
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404


ESCAPES = [
    "../app.py",
    "..%2fapp.py",
    "%2e%2e/app.py",
    "%2e%2e%2fapp.py",
    "..%252fapp.py",
    "..\\app.py",
    "..%5capp.py",
    "vendor/../../app.py",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "%00",
    "index.html%00.js",
    "%c0%ae%c0%ae/app.py",
    "package.json",
    "vendor",
    "",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out_of_the_page(client, path):
    assert client.get(f"/page/{path}").status_code in (400, 404)


@pytest.mark.parametrize("name", [*ESCAPES, "a", "a.png", "0"])
def test_a_slide_is_never_a_path(client, name):
    for what in ("", "/figures", "/tiles/0/0/0", "/crop?x=1&y=1"):
        answer = client.get(f"/api/slides/{name}{what}")
        # "" alone is the list of slides' own address with a slash.
        assert answer.status_code == 404 or answer.json() == client.get("/api/slides").json()


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    picture(outside / "secret.png", 40, 40)
    picture(inside / "own.png", 40, 40)
    os.symlink(outside / "secret.png", inside / "file.png")
    os.symlink(outside, inside / "folder")
    os.symlink(inside / "own.png", inside / "twin.png")
    os.symlink(tmp_path / "nowhere.png", inside / "broken.png")
    assert [path.name for path in find_images([inside])] == ["own.png"]


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 201), ("cross-site", 403), ("same-site", 403)]
)
def test_behind_a_proxy_the_browser_says_who_sends(client, slug, site, status):
    """The Host header is that of the proxy's connection, the Origin that of the proxy's page."""
    headers = {"Origin": "https://hub.example", "Sec-Fetch-Site": site}
    body = {"figure": "", "state": "undone"}
    answer = client.post(f"/api/slides/{slug.a}/decisions", json=body, headers=headers)
    assert answer.status_code == status
