"""The exercises of all notebooks: one module per branch, each with a tuple `EXERCISES`."""

from labkit.learn.exercise import Exercise
from labkit.learn.exercises import endpoints, kube_proxy, services, start

EXERCISES: dict[str, Exercise] = {
    e.name: e for module in (start, services, endpoints, kube_proxy) for e in module.EXERCISES
}
