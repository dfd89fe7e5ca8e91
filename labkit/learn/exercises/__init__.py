"""The exercises of all notebooks: one module per branch, each with a tuple `EXERCISES`."""

from labkit.learn.exercise import Exercise
from labkit.learn.exercises import services

EXERCISES: dict[str, Exercise] = {exercise.name: exercise for exercise in services.EXERCISES}
