"""The command line: one module for each command, listed in ``commands.py``."""

from __future__ import annotations

import os
import sys

from metaphase.cli.commands import COMMANDS, INTERRUPTED, load

__all__ = ["COMMANDS", "INTERRUPTED", "load", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code.

    0: success; 1: some items of a batch failed; 2: wrong input; 130: interrupted.
    """
    if arguments is not None:  # called from Python, which keeps its own signal handlers
        _run(arguments)
        return
    try:
        from metaphase.cli.terminal import accept_all_characters, end_at_second_interrupt

        accept_all_characters()
        end_at_second_interrupt()
        _run(arguments)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    finally:
        from metaphase.cli.terminal import end_at_next_interrupt

        end_at_next_interrupt()


def _run(arguments: list[str] | None) -> None:
    from metaphase.cli.app import group
    from metaphase.cli.terminal import TRACEBACK, old_names_as_notes, system_error_text
    from metaphase.errors import MetaphaseError

    try:
        with old_names_as_notes():
            group()(args=arguments, prog_name="metaphase")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            print("metaphase: interrupted", file=sys.stderr)
        raise
    except MetaphaseError as error:
        _fail(str(error), error.exit_code)
    except (OSError, MemoryError) as error:
        if TRACEBACK in os.environ:
            raise
        _fail(system_error_text(error), 2)


def _fail(message: str, code: int) -> None:
    print(f"metaphase: {message}", file=sys.stderr)
    sys.exit(code)
