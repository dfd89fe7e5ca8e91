"""Commit to a prediction before observing: a click where there are widgets, an argument where there are none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from html import escape

from labkit.errors import LabError


class Prediction:
    """A question with its options. `choice` is what the learner predicts, None until then."""

    def __init__(self, question: str, options: Sequence[str], answer: str | None) -> None:
        if answer is not None and answer not in options:
            raise LabError(f"{answer!r} is none of the options: {', '.join(options)}")
        self.question = question
        self.options = tuple(options)
        self.choice = answer

    def reveal(self, observed: object) -> None:
        """Print one sentence: what was observed, and whether that was predicted."""
        seen = str(observed)
        if self.choice is None:
            sentence = f"Observed: {seen}. (No prediction was made.)"
        elif self.choice == seen:
            sentence = f"Observed: {seen}, as you predicted."
        else:
            sentence = f"Observed: {seen}. You predicted {self.choice}: find out below what makes the difference."
        sys.stdout.write(sentence + "\n")

    def __repr__(self) -> str:
        lines = [f"Predict: {self.question}"]
        return "\n".join(lines + [f"  ( ) {option}" for option in self.options])

    def _ipython_display_(self) -> None:
        """Radio buttons; the plain text beside them serves pages without widgets, and is what nbval compares.

        nbval leaves application/vnd.jupyter.widget-view+json out (its model ids are random), and the widgets' own
        text/plain, which would change with ipywidgets, is replaced.
        """
        from IPython.display import display
        from ipywidgets import HTML, Layout, RadioButtons, VBox

        buttons = RadioButtons(options=self.options, value=self.choice, layout=Layout(width="max-content"))
        buttons.observe(self._chosen, "value")
        data = VBox([HTML(f"<b>Predict:</b> {escape(self.question)}"), buttons])._repr_mimebundle_()
        display({**data, "text/plain": repr(self)}, raw=True)  # type: ignore[no-untyped-call]

    def _chosen(self, change: dict[str, str | None]) -> None:
        self.choice = change["new"]


def predict(question: str, options: Sequence[str], answer: str | None = None) -> Prediction:
    """Ask for a prediction. `answer` is the learner's own, typed instead of clicked; `reveal` it after observing.

    Raises `LabError` for an answer that is none of the options.
    """
    return Prediction(question, options, answer)
