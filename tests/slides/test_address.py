"""Addresses are recognised among paths, and shown without what is secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.slides.address import local_name, path_of, shown, url_of


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


def test_the_path_of_an_address_with_a_wrong_host_is_its_path() -> None:
    assert path_of("https://ho]st/x/y%20z.svs?sig=1#a") == "/x/y%20z.svs"
    assert path_of("s3://bucket") == "/"
    assert local_name(Path("https:/ho]st/x/y%20z.svs?sig=1")) == Path("/x/y z.svs")
