"""Addresses are recognised among paths, and shown without what is secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.slides.address import local_name, shown, url_of


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("https://host/a.svs?key=1", "https://host/a.svs?key=1"),
        (Path("https://host/a b.svs"), "https://host/a b.svs"),
        (Path("s3://bucket/x/a.svs"), "s3://bucket/x/a.svs"),
        ("GS://bucket/a.svs", "gs://bucket/a.svs"),
        ("/data/a.svs", None),
        ("c:/data/a.svs", None),
        ("https", None),
        ("s3:", None),
    ],
)
def test_addresses_are_told_from_paths(path: str | Path, url: str | None) -> None:
    assert url_of(path) == url


def test_results_are_named_without_what_is_secret() -> None:
    path = Path("https://host/x/a%20b.svs?X-Amz-Signature=secret")
    assert local_name(path).name == "a b.svs"
    assert "secret" not in shown(path)
    assert shown("/data/what?.svs") == "/data/what?.svs"
