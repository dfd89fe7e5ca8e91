"""Predict and observe agree: what the model tracer says of a node beside what the kernel did there."""

from __future__ import annotations

from labkit.net.packet import endpoint
from labkit.net.path import PacketPath, RuleHit
from labkit.trace.model.prediction import Outcome, Prediction


def agree(path: PacketPath, prediction: Prediction, place: str) -> list[str]:
    """How a path differs from the prediction for a node, in sentences; empty where they agree.

    The kernel's rules at `place` must be those of one predicted outcome, and its rewrites that outcome's. The ends of
    chains and the tables that no prediction speaks of are left out.
    """
    predicted = {(hit.table, hit.chain) for outcome in prediction.outcomes for hit in outcome.hits}
    tables = {table for table, _ in predicted} or {"nat", "filter"}
    seen = [_told(hit) for hit in path.rules if hit.place == place and hit.text and hit.table in tables]
    same = [o for o in prediction.outcomes if [_told(hit) for hit in o.hits] == seen]
    if not same:
        closest = max(prediction.outcomes, key=lambda o: _common(o, seen))
        return [f"on {place} the kernel evaluated {seen}, the model {[_told(hit) for hit in closest.hits]}"]
    return _rewrites(path, same[0], place)


def _rewrites(path: PacketPath, outcome: Outcome, place: str) -> list[str]:
    there = {r.action: r for r in path.rewrites if r.place == place and r.rule}
    differences = []
    observed = there["DNAT"].after if "DNAT" in there else None
    wanted = outcome.packet if outcome.verdict == "DNAT" else None
    if bool(observed) != bool(wanted) or (
        observed and wanted and (observed.dst, observed.dport) != (wanted.dst, wanted.dport)
    ):
        told = [endpoint(p.dst, p.dport) if p else "nowhere" for p in (observed, wanted)]
        differences.append(f"on {place} the kernel sent it to {told[0]}, the model to {told[1]}")
    if ("SNAT" in there) != outcome.masquerade:
        differences.append(
            f"on {place} the source was {'' if 'SNAT' in there else 'not '}rewritten, unlike in the model"
        )
    return differences


def _told(hit: RuleHit) -> str:
    return f"{hit.table} {hit.chain} {hit.number}: {hit.text}"


def _common(outcome: Outcome, seen: list[str]) -> int:
    return sum(_told(hit) in seen for hit in outcome.hits)
