"""A crowd of pods that run nowhere: a hollow kubelet, which writes what a kubelet writes and starts nothing.

The API server and the controllers cannot tell: to them these are pods, Running and Ready, each with an address. So a
thousand of them cost no more than a thousand objects. Kubernetes' own scale tests do so too (kubemark).
"""

import base64
import json
import ssl
from http.client import HTTPSConnection
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import yaml

NAMESPACE, NODE = "crowd", "hollow"


class Crowd:
    """`number` pods, crowd-0 and so on, in the namespace `crowd`; the first 10 have the label `first-10`, and so on."""

    def __init__(self, k, number, sizes):
        self.api = _connect(k.kubeconfig)
        zone = {"topology.kubernetes.io/zone": "a"}
        k.apply([
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": zone}},
        ])
        k.apply([_pod(i, [size for size in sizes if i < size]) for i in range(number)])
        for i in range(number):
            self.ready(i)

    def ready(self, number, ready=True):
        """Report the state of one pod, as its kubelet would."""
        status = {
            "phase": "Running",
            "podIP": _address(number),
            "podIPs": [{"ip": _address(number)}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        }
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/crowd-{number}/status"
        body, kind = json.dumps({"status": status}), {"Content-Type": "application/merge-patch+json"}
        self.api.request("PATCH", path, body, kind)
        answer = self.api.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(said.decode())


def _pod(number, sizes):
    labels = {"app": "crowd", **{f"first-{size}": "" for size in sizes}}
    spec = {"nodeName": NODE, "containers": [{"name": "nothing", "image": "registry.k8s.io/pause:3.10"}]}
    meta = {"name": f"crowd-{number}", "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _address(number):
    return f"10.245.{number // 250}.{number % 250 + 1}"


def _connect(kubeconfig):
    """A connection to the API server, as the kubeconfig's user."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with NamedTemporaryFile() as both:
        for part in ("client-certificate-data", "client-key-data"):
            both.write(base64.b64decode(user[part]))
        both.flush()
        context.load_cert_chain(both.name)
    server = urlsplit(cluster["server"])
    return HTTPSConnection(server.hostname, server.port, context=context)
