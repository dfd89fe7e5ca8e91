"""The exercises of all notebooks: one module per branch, each with a tuple `EXERCISES`."""

from labkit.learn.exercise import Exercise
from labkit.learn.exercises import services, start

EXERCISES: dict[str, Exercise] = {exercise.name: exercise for module in (start, services) for exercise in module.EXERCISES}
