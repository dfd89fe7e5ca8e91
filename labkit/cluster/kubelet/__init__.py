"""The kubelets of all nodes."""

from labkit.cluster.kubelet.kubelet import Kubelet

__all__ = ["Kubelet"]
