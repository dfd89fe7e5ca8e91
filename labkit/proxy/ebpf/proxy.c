/* kube-proxy's work in eBPF, after Cilium: one object with all programs of a node. Read sock.h first. */
#include "nodeport.h"
#include "sock.h"

char _license[] SEC("license") = "GPL";
