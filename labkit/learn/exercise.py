"""Checking an exercise: one sentence and the next hint, never a traceback, whatever the learner passes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.errors import NotFound
from labkit.learn.curriculum import nearest
from labkit.learn.hints import Hints

_hints = Hints()


@dataclass(frozen=True)
class Exercise:
    """A task with its check.

    name   "services/write-a-service": the branch, and what is to be done
    test   takes the answer; True, or one sentence that says what is not right yet. It may raise: that is a wrong answer
    hints  from a nudge to nearly the answer
    """

    name: str
    task: str
    hints: tuple[str, ...]
    test: Callable[[Any], bool | str]


@dataclass(frozen=True)
class Verdict:
    """What `check` found; true where the answer is right. A notebook shows nothing more: the sentence is printed."""

    right: bool
    sentence: str
    hint: str = ""

    def __bool__(self) -> bool:
        return self.right

    def _ipython_display_(self) -> None:
        """Shown already."""


def check(name: str, answer: object) -> Verdict:
    """Check an answer; print one sentence, and the next hint where it is wrong.

    Raises `NotFound`, with the nearest name, for an exercise that does not exist.
    """
    from labkit.learn.exercises import EXERCISES

    if name not in EXERCISES:
        raise NotFound(f"there is no exercise {name!r}{nearest(name, EXERCISES)}", exercise=name)
    verdict = judge(EXERCISES[name], answer, _hints)
    sys.stdout.write("\n".join(filter(None, (verdict.sentence, verdict.hint))) + "\n")
    return verdict


def judge(exercise: Exercise, answer: object, hints: Hints) -> Verdict:
    """The verdict on an answer; `hints` remembers what the learner has seen."""
    reason = _reason(exercise, answer)
    if not reason:
        hints.forget(exercise.name)
        return Verdict(True, "Right.")
    return Verdict(False, reason, hints.next(exercise.name, exercise.hints))


def _reason(exercise: Exercise, answer: object) -> str:
    """Why the answer is wrong, in one sentence; empty where it is right."""
    if answer is None or answer is ...:
        return f"There is no answer yet. {exercise.task}"
    try:
        found = exercise.test(answer)
    except (Exception, SystemExit) as error:
        text = str(error).strip().partition("\n")[0].rstrip(".")
        return f"Checking this answer ended with {type(error).__name__}{': ' if text else ''}{text}."
    if isinstance(found, str) and found:
        return found
    return "" if found is True else "That is not it yet."
