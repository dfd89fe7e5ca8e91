"""kube-proxy's ebpf mode, after Cilium."""

PINS = "/run/labkit/bpf"
"""A folder for each node, named as it, with its maps. Cilium's are below /sys/fs/bpf."""
