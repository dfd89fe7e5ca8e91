"""A UDP client that keeps its source port follows its Service when the pod that served it goes."""

from labkit import lab

ASK = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 45000))
s.settimeout(2)
s.sendto(b"hostname", ("{address}", 5300))
print(s.recv(100).decode())
"""


def test_a_flow_to_a_pod_that_is_gone_is_forgotten() -> None:
    container = {"name": "c", "image": "agnhost", "ports": [{"containerPort": 9001, "protocol": "UDP"}]}
    labels = {"app": "udp"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": 5300, "targetPort": 9001, "protocol": "UDP"}]}
    pod = {"containers": [{"name": "c", "image": "pause"}]}
    with lab.start(name="udp") as k:
        k.apply(
            [
                {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "udp"}, "spec": deployment},
                {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "udp"}, "spec": service},
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": pod},
            ]
        )
        k.wait()
        command = ["python3", "-c", ASK.format(address=k.get("svc/udp")["spec"]["clusterIP"])]
        first = k.pod("client").run(command, check=True).stdout.strip()
        assert k.pod("client").run(command, check=True).stdout.strip() == first, "the flow is tracked"
        k.delete(f"pod/{first}")
        second = k.pod("client").run(command, check=True).stdout.strip()
        assert second.startswith("udp-") and second != first
        asked = "curl -s 127.0.0.1:10249/metrics | grep ^kubeproxy_conntrack_reconciler_deleted_entries_total"
        counted = [float(k.node(name).run(asked, check=True).stdout.split()[1]) for name in k.facts["nodes"]]
        assert sum(counted) >= 1
