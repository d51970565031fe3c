"""A real server under many requests at once."""

from __future__ import annotations

import http.client
import io
import threading
from urllib.parse import urlsplit

from PIL import Image

from .conftest import TOKEN

AT_ONCE = 200


def test_two_hundred_tiles_asked_for_at_the_same_moment_are_all_answered(url, slug):
    places = [(11, x, y) for x in range(3) for y in range(2)] + [(10, 0, 0), (9, 0, 0)]
    paths = [
        f"/api/slides/{(slug.a, slug.b)[i % 2]}/tiles/{z}/{x}/{y}"
        for i in range(AT_ONCE)
        for z, x, y in [places[(i // 2) % len(places)]]
    ]
    together = threading.Barrier(AT_ONCE)
    answers: dict[int, tuple[int, bytes]] = {}

    def ask(i):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.connect()
        together.wait(60)  # every connection is open before the first asks
        connection.request("GET", paths[i], headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        answers[i] = answer.status, answer.read()
        connection.close()

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [answers[i][0] for i in range(AT_ONCE)] == [200] * AT_ONCE
    pictures = {path: answers[i][1] for i, path in enumerate(paths)}
    for i, path in enumerate(paths):  # whoever asks gets the same tile
        assert answers[i][1] == pictures[path]
    assert Image.open(io.BytesIO(pictures[paths[0]])).size == (512, 512)
