"""Retraining from the page: one round of the loop in a thread, with progress and cancelling."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from metaphase.errors import MetaphaseError
from metaphase.learning.loopfolder import LoopFolder
from metaphase.learning.roundresult import load_rounds
from metaphase.learning.rounds import LEAST_DECISIONS, RoundOptions, train_round
from metaphase.learning.slidereview import SlideReview


class Cancelled(Exception):
    """The reader cancelled the training."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of the latest training. ``part``: how much of it is finished, 0 to 1."""

    state: Literal["idle", "running", "finished", "cancelled", "failed"] = "idle"
    what: str = ""
    part: float = 0.0


class Retraining:
    """Trains rounds of a loop, one at a time. Thread-safe.

    ``reviews`` returns the decisions when a training begins. ``finished`` is called in the thread
    after a round.
    """

    def __init__(
        self,
        loop: LoopFolder,
        reviews: Callable[[], list[SlideReview]],
        finished: Callable[[], None],
    ) -> None:
        self.loop, self._reviews, self._finished = loop, reviews, finished
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        self._progress = Progress()

    @property
    def progress(self) -> Progress:
        """The state of the latest training."""
        with self._lock:
            return self._progress

    def start(self, depth: str = "head") -> bool:
        """Begin a round in the background; returns False where one is running already."""
        with self._lock:
            if self._progress.state == "running":
                return False
            self._cancel.clear()
            self._progress = Progress("running", "reading the decisions")
            self._thread = threading.Thread(
                target=self._run, args=(depth,), name="metaphase-retraining", daemon=True
            )
            self._thread.start()
            return True

    def cancel(self) -> None:
        """End the running training at its next step. Nothing of its round is kept."""
        self._cancel.set()

    def close(self) -> None:
        """Cancel, and wait for the thread."""
        self.cancel()
        if self._thread is not None:
            self._thread.join()

    def to_json(self) -> dict[str, Any]:
        """Return the state, and all rounds with their scores."""
        progress = self.progress
        rounds = [one.model_dump(mode="json") for one in load_rounds(self.loop)]
        return {
            "state": progress.state,
            "what": progress.what,
            "part": round(progress.part, 3),
            "least_decisions": LEAST_DECISIONS,
            "rounds": rounds,
        }

    def _run(self, depth: str) -> None:
        try:
            train_round(self.loop, self._reviews(), RoundOptions(depth), self._report)
            self._finished()
            self._set(state="finished", part=1.0)
        except Cancelled:
            self._set(state="cancelled", what="")
        except MetaphaseError as error:
            self._set(state="failed", what=str(error))
        except Exception as error:  # the page must learn of it; the server goes on
            self._set(state="failed", what=f"{type(error).__name__}: {error}")

    def _report(self, what: str, part: float) -> None:
        # Once the model is written, a round is finished: half of it is of no use.
        if self._cancel.is_set() and part < 0.9:
            raise Cancelled
        self._set(what=what, part=part)

    def _set(self, **changes: Any) -> None:
        with self._lock:
            self._progress = replace(self._progress, **changes)
