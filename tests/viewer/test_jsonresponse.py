from __future__ import annotations

import json
import math

from metaphase.viewer.jsonresponse import PageJSON, finite


def test_numbers_that_json_lacks_are_null():
    value = {"a": [math.nan, 1.5, (math.inf, "x")], "b": -math.inf, "c": True, "d": None}
    assert finite(value) == {"a": [None, 1.5, [None, "x"]], "b": None, "c": True, "d": None}


def test_any_text_becomes_ascii():
    body = PageJSON({"name": "slide \udcff 日本"}).body
    assert body.isascii()
    assert json.loads(body) == {"name": "slide \udcff 日本"}
