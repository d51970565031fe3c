"""The page and its files."""

from __future__ import annotations

import re

from metaphase.viewer import pagefiles


def test_every_file_that_the_page_names_is_served(client):
    text = client.get("/").text
    names = set(re.findall(r'(?:href|src)="page/([^"]+)"', text))
    assert len(names) == 4
    scripts = {path.name for path in pagefiles.PAGE.glob("*.js")}
    for name in names | scripts:
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.content


def test_all_addresses_are_relative(client):
    """The page works behind a path prefix, where an address from the root would lead elsewhere."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in pagefiles.PAGE.glob("*.js")}
    texts["index.html"] = client.get("/").text
    for name, text in texts.items():
        assert not re.search(r"""["'`(]/(page|api)/""", text), name
        assert not re.search(r"""(href|src|action)="/""", text), name


def test_scripts_import_files_that_exist():
    for path in pagefiles.PAGE.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")):
            assert (pagefiles.PAGE / name).is_file(), (path.name, name)


def test_every_element_that_a_script_asks_for_is_on_the_page(client):
    ids = set(re.findall(r'id="([^"]+)"', client.get("/").text))
    for path in pagefiles.PAGE.glob("*.js"):
        asked = re.findall(r'\$\("([\w-]+)"\)', path.read_text(encoding="utf-8"))
        assert set(asked) <= ids, path.name
