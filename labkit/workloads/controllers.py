"""The controllers of all workloads, in the order in which their work flows."""

from __future__ import annotations

from labkit.control.reconcile import Controller
from labkit.control.store import Store
from labkit.workloads.cronjobs.controller import CronJobs
from labkit.workloads.daemonsets.controller import DaemonSets
from labkit.workloads.deployments import Deployments
from labkit.workloads.disruption.controller import DisruptionBudgets
from labkit.workloads.jobs.controller import FinishedJobs, Jobs
from labkit.workloads.making import Create
from labkit.workloads.replicasets import ReplicaSets
from labkit.workloads.statefulsets.controller import StatefulSets


def workloads(store: Store, create: Create) -> list[Controller]:
    """create: stores a new object, after admission."""
    return [
        CronJobs(store, create),
        Deployments(store),
        StatefulSets(store, create),
        DaemonSets(store, create),
        Jobs(store, create),
        FinishedJobs(store),
        ReplicaSets(store, create),
        DisruptionBudgets(store),
    ]
