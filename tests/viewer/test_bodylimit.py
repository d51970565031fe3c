"""Requests are small, and what is larger is refused before it is read."""

from __future__ import annotations

import json

import pytest

from metaphase.viewer.bodylimit import MAX_BODY_BYTES


def post(client, slug, **more):
    return client.post(f"/api/slides/{slug.a}/decisions", **more)


def test_a_large_body_is_refused_by_its_length(client, slug):
    answer = post(client, slug, content=b"x" * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert str(MAX_BODY_BYTES) in answer.json()["error"]


def test_a_large_body_without_a_length_is_refused_while_it_is_read(client, slug):
    sent = []

    def parts():
        for _ in range(1000):
            sent.append(1)
            yield b"x" * 10_000

    answer = post(client, slug, content=parts())
    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-1", "a", "9" * 5000])
def test_a_length_that_is_no_number_is_refused(client, slug, length):
    headers = {"Content-Length": length}
    assert post(client, slug, content=b"{}", headers=headers).status_code == 413


def test_a_body_of_the_largest_size_is_read(client, slug):
    body = json.dumps({"figure": "", "state": "maybe"}).encode()
    padded = body + b" " * (MAX_BODY_BYTES - len(body))
    assert post(client, slug, content=padded).status_code == 422
