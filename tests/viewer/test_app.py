"""The page and its files."""

from __future__ import annotations


def test_every_file_that_the_page_names_is_served(client):
    text = client.get("/").text
    names = {part.split('"')[0] for part in text.split('"/page/')[1:]}
    assert len(names) == 4
    for name in names | {"api.js", "figures.js", "gallery.js", "overlay.js"}:
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.content
