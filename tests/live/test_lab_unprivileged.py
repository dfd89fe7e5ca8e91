"""Who may start a lab: any user, with no privilege at all; and what a machine that forbids it is told."""

import os

import pytest
from labs import BOOKINFO, SHOP
from users import AS_NOBODY, IN_USER_NAMESPACE, NOBODY, WITHOUT_NAMESPACES, run

MAIN_JOB = f"""
import os
from pathlib import Path
from labkit import lab

with lab.start() as k:
    assert os.geteuid() == int(os.environ["EXPECTED_UID"])
    status = Path("/proc/self/status").read_text().splitlines()
    capabilities = next(line for line in status if line.startswith("CapBnd"))
    assert int(capabilities.split()[1], 16) in (0, 1 << 31), capabilities
    k.apply({str(SHOP)!r})
    k.apply({str(BOOKINFO)!r})
    k.wait()
    client = k.pod("shop/client")
    for url in ("http://web", "http://api:8080", "http://web.shop.svc.cluster.local"):
        rows = client.get(url, n=20)
        assert set(rows["error"]) == {{""}}, rows
    assert client.run("curl -s http://web/hostname", check=True).stdout.startswith("web-")
    assert client.run("ping -c1 -W2 203.0.113.10").code == 0
    path = k.trace("client", "http://web", namespace="shop")
    assert path.outcome == "200" and path.lost == 0
    assert [r.action for r in path.rewrites] == ["DNAT", "SNAT"]
    assert any(r.chain.startswith("KUBE-SEP-") for r in path.rules)
    assert k.host("internet").run("id -u").stdout == "0\\n"
print("done")
"""
START = "from labkit import lab\nlab.start(nodes=1).close()\nprint('done')"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_without_any_privilege_has_the_whole_lab() -> None:
    done = run(AS_NOBODY, MAIN_JOB, NOBODY)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_root_without_power_has_the_whole_lab() -> None:
    """As in a container."""
    done = run(IN_USER_NAMESPACE, MAIN_JOB, 0)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.sandbox("uml")
def test_where_user_namespaces_are_forbidden_a_kernel_of_its_own_has_the_whole_lab() -> None:
    done = run(WITHOUT_NAMESPACES, MAIN_JOB, 0)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.sandbox("uml")
def test_a_lab_that_may_choose_takes_what_works_and_says_why() -> None:
    code = "from labkit import lab\nwith lab.start(nodes=1, sandbox='auto') as k: print(k.sandbox)"
    done = run(WITHOUT_NAMESPACES, code, 0)
    assert (done.stdout, done.stderr) == ("User-Mode Linux, because this machine allows no user namespaces\n", "")
    done = run((), code, os.geteuid())
    assert (done.stdout, done.stderr) == ("Linux namespaces, which this machine allows\n", "")


@pytest.mark.sandbox("namespaces")
def test_a_machine_without_user_namespaces_is_told_what_to_do() -> None:
    done = run(WITHOUT_NAMESPACES, START, 0)
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith("labkit.errors.NoSandbox: this machine does not let you make user namespaces")
    assert "sudo sysctl -w" in error
    assert "user.max_user_namespaces" in error
    assert "start the notebook as root" in error
