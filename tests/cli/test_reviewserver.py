"""The server of the page, for two commands."""

from __future__ import annotations

import pytest

from metaphase.cli.reviewserver import Serving, serve_page
from metaphase.errors import InputError
from metaphase.viewer import serve as module
from metaphase.viewer.store import ReviewStore


@pytest.fixture
def store(tmp_path):
    store = ReviewStore(tmp_path / "r.sqlite")
    yield store
    store.close()


def test_without_a_token_only_this_computer_is_served(store):
    with pytest.raises(InputError, match=r"everybody who reaches 192\.0\.2\.1"):
        serve_page([], store, Serving("192.0.2.1", (), 0, False, False), reviewer="anna")


def test_the_address_is_printed_when_the_page_is_ready(store, monkeypatch, capsys):
    monkeypatch.setattr(module, "serve", lambda app, listener, ready: (ready(), listener.close()))
    monkeypatch.setattr("metaphase.viewer.app.page_files", dict)
    serve_page([], store, Serving("127.0.0.1", (), 0, True, False), reviewer="anna")
    out = capsys.readouterr()
    assert "?token=" in out.out
    assert "0 slides" in out.err
