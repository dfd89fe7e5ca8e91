"""Labs side by side, one after the other under the same name, interrupted, closed: what a learner does to them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from labs import ONCE, SHOP, alive, client, descendants, errors, inside, places, wait_until

from labkit import lab
from labkit.errors import LabError, SandboxError, WaitTimeout
from labkit.lab import Lab


@contextmanager
def interrupted(once: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C in the block as soon as `once` holds, as a notebook's kernel gets it."""
    over = threading.Event()

    def press() -> None:
        wait_until(lambda: once() or over.is_set(), 10)
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        over.set()
        thread.join()


def commands(k: Lab, text: str) -> int:
    """How many processes of the lab have this in their command line."""
    pattern = f"[{text[0]}]{text[1:]}"  # which does not match itself
    return int(inside(k, f"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '{pattern}'"))


def test_an_interrupted_command_ends_and_the_lab_goes_on(shop: Lab) -> None:
    pod = shop.pod("shop/client")
    with interrupted(lambda: commands(shop, "4711")):
        pod.run("sleep 4711")
    wait_until(lambda: not commands(shop, "4711"), 1, "the end of the command")
    assert pod.run("echo still here").stdout == "still here\n"


def test_interrupted_requests_end_and_the_lab_goes_on(shop: Lab) -> None:
    pod = shop.pod("shop/client")
    address = shop.get("svc/web", namespace="shop")["spec"]["clusterIP"]
    before = time.monotonic() + 0.5
    with interrupted(lambda: time.monotonic() > before):
        pod.get(f"http://{address}", n=1_000_000)
    assert errors(pod.get(f"http://{address}", n=100)) == []
    table = shop.node("node-1").run("ss -tnH state syn-sent state established", check=True).stdout
    assert table == ""


def test_an_interrupted_wait_and_trace_leave_the_lab_usable(shop: Lab) -> None:
    before = time.monotonic() + 0.3
    with interrupted(lambda: time.monotonic() > before):
        shop.wait("svc/nobody", namespace="shop", timeout=60)
    node = shop.node(next(p["node"] for p in places(shop) if p["name"] == "shop/client"))
    node.run("iptables -I FORWARD -d 203.0.113.10 -j DROP", check=True)
    rules = node.run("iptables -S; iptables -t raw -S", check=True).stdout
    before = time.monotonic() + 0.3
    with interrupted(lambda: time.monotonic() > before):
        shop.trace("client", "http://203.0.113.10", namespace="shop", timeout=60)
    # What a cancelled trace set up is taken back before the next one is taken.
    path = shop.trace("client", "http://203.0.113.10", namespace="shop", timeout=0.2)
    assert path.outcome == f"dropped by rule 1 of FORWARD (filter) on {node.name}"
    assert node.run("iptables -S; iptables -t raw -S", check=True).stdout == rules
    node.run("iptables -D FORWARD -d 203.0.113.10 -j DROP", check=True)
    assert shop.trace("client", "http://web", namespace="shop").outcome == "200"


def test_two_labs_by_name_know_nothing_of_each_other(shop: Lab) -> None:
    with lab.start(name="second", nodes=1, zones=["z"]) as second:
        second.apply(SHOP)
        second.wait()
        assert list(second.nodes()["NAME"]) == ["node-1"]
        assert list(shop.nodes()["NAME"]) == ["node-1", "node-2", "node-3"]
        second.delete("deployment/web", namespace="shop")
        assert errors(second.pod("shop/client").get("http://web")) == ["connection refused"]
        assert errors(shop.pod("shop/client").get("http://web")) == []
    assert errors(shop.pod("shop/client").get("http://web")) == []


@ONCE
def test_two_labs_in_two_processes(shop: Lab) -> None:
    code = f"""
        from labkit import lab
        k = lab.start(name="shop")
        k.apply({str(SHOP)!r})
        k.wait()
        print(k.facts["pid"], flush=True)
        input()
        print(set(k.pod("shop/client").get("http://web", n=50)["error"]), flush=True)
        """
    with client(code) as other:
        assert other.stdout
        processes = descendants(int(other.stdout.readline()))
        assert errors(shop.pod("shop/client").get("http://web", n=50)) == []
        output, _ = other.communicate("\n")
        assert (output, other.returncode) == ("{''}\n", 0)  # closed by its own end, without a word
    wait_until(lambda: not alive(processes), 1, "the end of the other lab")


@ONCE
def test_a_start_closes_the_earlier_lab_of_its_name() -> None:
    first = lab.start(name="same", nodes=1)
    second = lab.start(name="same", nodes=1)
    assert not first.running
    assert second.running
    with pytest.raises(SandboxError, match=r"this lab is closed; start a new one with lab.start\(\)"):
        first.pods()
    second.close()


@ONCE
def test_a_closed_lab_says_so_whatever_is_asked_of_it() -> None:
    k = lab.start(name="closed", nodes=1)
    pod = k.node("node-1")
    k.close()
    k.close()
    asked: list[Callable[[], object]] = [
        k.wait, k.pods, k.nodes, k.topology, k.events, lambda: k.apply(SHOP), lambda: k.delete("pod/x"),
        lambda: k.scale("deployment/x", 1), lambda: k.pod("x"), lambda: k.trace("x", "http://y"),
        lambda: pod.get("http://x"), lambda: pod.run("true"), lambda: k.get("svc/kubernetes"), lambda: k.logs("x"),
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(SandboxError, match="this lab is closed"):
            ask()
    assert repr(k).splitlines()[0].endswith("(closed)")


@ONCE
def test_an_interrupted_start_leaves_nothing() -> None:
    steps: list[str] = []
    before = threading.active_count()
    with interrupted(lambda: steps):
        lab.start(name="hasty", nodes=50, progress=steps.append)
    assert threading.active_count() == before
    with lab.start(name="hasty", nodes=1) as k:
        k.wait()


@ONCE
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"nodes": 0}, "nodes"),
        ({"nodes": 1000}, "nodes"),
        ({"zones": []}, "zone"),
        ({"zones": ["a", "a"]}, "zone"),
        ({"zones": ["not a name!"]}, "zone"),
        ({"cni": "calico"}, "cni is 'calico': choose one of ptp, bridge"),
        ({"link": {"dely": "5ms"}}, "dely"),
        ({"link": {"delay": "soon"}}, "soon"),
        ({"link": {"bw": -3}}, "bw"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(LabError, match=told) as caught:
        lab.start(name="wrong", **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert "Error" not in str(caught.value)


@ONCE
def test_a_wait_names_the_kind_of_thing_that_is_missing(shop: Lab) -> None:
    with pytest.raises(WaitTimeout, match="selects app=nobody, and no pod of namespace shop has these labels"):
        shop.wait("svc/nobody", namespace="shop", timeout=0.2)
