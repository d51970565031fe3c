"""``--verbose`` and ``--log-file``."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from metaphase.cli.log import logger, logging_to
from metaphase.errors import OutputError

other = logging.getLogger("metaphase.some.room")


def test_a_log_file_gets_every_line_with_date_and_level(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.log"
    for _ in range(2):  # appended
        with logging_to(path):
            other.debug("detail")
            other.info("done")
    lines = path.read_text().splitlines()
    assert sum(line.endswith(" DEBUG detail") for line in lines) == 2
    assert sum(line.endswith(" INFO done") for line in lines) == 2
    assert all(line[:4].isdigit() for line in lines)


def test_verbose_prints_details_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(None, verbose=True):
        other.debug("detail")
        other.info("a line that the command prints itself")
    said = capsys.readouterr()
    assert "detail\n" in said.err
    assert "itself" not in said.err
    assert said.out == ""


def test_without_options_nothing_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    handlers = list(logger.handlers)
    with logging_to(None):
        assert logger.handlers == handlers
        other.debug("detail")
    assert capsys.readouterr() == ("", "")


def test_handlers_are_removed_and_the_end_is_logged(tmp_path: Path) -> None:
    path, handlers = tmp_path / "run.log", list(logger.handlers)
    with pytest.raises(KeyError), logging_to(path, verbose=True):
        raise KeyError("lost")
    assert logger.handlers == handlers
    assert "ended by KeyError" in path.read_text()
    assert "Traceback" in path.read_text()


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--log-file"), logging_to(tmp_path):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_ends_the_log_and_not_the_command(tmp_path: Path) -> None:
    steps = []

    def command() -> None:
        with logging_to(tmp_path / "run.log"):
            handler = logger.handlers[-1]
            assert isinstance(handler, logging.FileHandler)
            full = Path("/dev/full").open("w")  # noqa: SIM115  closed by the handler
            before = handler.setStream(full)
            assert before is not None
            before.close()
            other.info("lost")
            steps.append("the command goes on")

    handlers = list(logger.handlers)
    with pytest.raises(OutputError, match=r"run\.log.*No space left.*incomplete"):
        command()
    assert steps
    assert logger.handlers == handlers
