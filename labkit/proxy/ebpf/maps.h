/* The maps of one node, under Cilium's names and with its layouts (bpf/lib/common.h, bpf/lib/lb.h); here of IPv4, and the
 * same with a 6 and longer addresses:
 *
 *   cilium_lb4_services_v2   frontend (address, port, protocol, scope), slot 0 -> how many endpoints, flags
 *                            the same, slot 1..n                               -> number of an endpoint
 *   cilium_lb4_backends_v3   number of an endpoint -> its address and port
 *   cilium_lb4_reverse_nat   number of a frontend  -> its address and port, for replies
 *   cilium_lb4_maglev        number of a frontend  -> its Maglev table
 *
 *   cilium_ct4_global        a connection from outside, by the client's packets and by the endpoint's; here with what
 *                            Cilium keeps apart in cilium_ct_any4_global (UDP) and cilium_snat_v4_external
 *
 * Addresses and ports are in network order, counts and numbers in the machine's. Numbers of frontends are kept in
 * network order, as Cilium keeps them, where they are (part of) a key; here that is a matter of looks only.
 */
#pragma once

#include "family.h"

#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define SERVICES NAME(cilium_lb, _services_v2)
#define BACKENDS NAME(cilium_lb, _backends_v3)
#define REVERSE_NAT NAME(cilium_lb, _reverse_nat)
#define MAGLEV NAME(cilium_lb, _maglev)
#define AFFINITY NAME(cilium_lb, _affinity)
#define SOURCE_RANGE NAME(cilium_lb, _source_range)
#define REVERSE_SK NAME(cilium_lb, _reverse_sk)
#define CONNECTIONS NAME(cilium_ct, _global)

#define MAGLEV_SIZE 1021		/* entries of a Maglev table: a prime, much larger than any number of endpoints */
#define LB_MAP_MAX 16384		/* what each map of the first kind may hold, unless `lb_map_max` says otherwise */
#define MAX_FLOWS 8192			/* remembered connections: those not used for longest go first */

#define SCOPE_EXT 0			/* what comes from outside the cluster, and everything that knows one scope only */
#define SCOPE_INT 1			/* pods and nodes: an external address with policy Local is not local to them */

/* pkg/loadbalancer/loadbalancer.go: serviceFlag… */
#define SVC_FLAG_AFFINITY	(1 << 4)
#define SVC_FLAG_ROUTABLE	(1 << 6)	/* reachable from outside the cluster: everything but a cluster IP */
#define SVC_FLAG_SOURCE_RANGE	(1 << 7)
#define SVC_FLAG2_TWO_SCOPES	(1 << 5)

#define ACTIVE 0
#define TERMINATING 1			/* for connections that it has already */

#define ALGORITHM_MAGLEV 2		/* in the upper 8 bits of `affinity_timeout`; 1 is random */

struct lb_key {
	struct address address;
	__be16 dport;
	__u16 backend_slot;
	__u8 proto;
	__u8 scope;
	__u8 pad[2];
};

struct lb_service {
	union {
		__u32 backend_id;	/* slots 1..n */
		__u32 affinity_timeout;	/* slot 0: algorithm << 24 | seconds */
	};
	__u16 count;			/* slot 0 */
	__u16 rev_nat_index;
	__u8 flags;
	__u8 flags2;
	__u16 qcount;			/* quarantined endpoints: none here */
};

struct lb_backend {
	struct address address;
	__be16 port;
	__u8 proto;
	__u8 flags;			/* ACTIVE or TERMINATING */
	__u16 cluster_id;
	__u8 zone;
	__u8 pad;
};

struct lb_reverse_nat {
	struct address address;
	__be16 port;
} __attribute__((packed));

struct lb_affinity_match {
	__u32 backend_id;
	__u16 rev_nat_id;
	__u16 pad;
};

struct lb_affinity_key {
	union {				/* of the client */
		struct address address;
		__u64 cookie;		/* of its network namespace */
	};
	__u16 rev_nat_id;
	__u8 netns_cookie;		/* which of the two */
	__u8 pad1;
	__u32 pad2;
};

struct lb_affinity_val {
	__u64 last_used;		/* seconds since the machine started */
	__u32 backend_id;
	__u32 pad;
};

struct lb_src_range_key {
	__u32 prefix;			/* 32 bits of what follows, and those of the range */
	__u16 rev_nat_id;
	__u16 pad;
	struct address address;
};

struct revnat_tuple {		/* a socket, and the endpoint that it talks to */
	__u64 cookie;
	struct address address;
	__be16 port;
	__u8 pad[FAMILY == 4 ? 2 : 6];
};

struct revnat_entry {		/* what the program that owns it asked for */
	struct address address;
	__be16 port;
	__u16 rev_nat_index;
	__u8 pad[FAMILY == 4 ? 0 : 4];
};

struct ct_tuple {			/* as the packet shows it */
	struct address saddr;
	struct address daddr;
	__be16 sport;
	__be16 dport;
	__u8 nexthdr;
	__u8 reply;			/* 1: of a packet from the endpoint */
	__u16 pad;
};

struct ct_entry {
	__u32 backend_id;
	__u16 rev_nat_index;
	__be16 nat_port;		/* of this node, where it stands in for the client; else 0 */
	struct address client;			/* of a reply to this node: whom it is for */
	__be16 client_port;
	__u16 closing;			/* one end has closed, or reset it */
	__u32 lifetime;			/* until when it counts, in seconds since the machine started */
};

struct node_config {
	struct address address;			/* that this node takes where it stands in for a client */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAP_MAX);
	__type(key, struct lb_key);
	__type(value, struct lb_service);
} SERVICES SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAP_MAX);
	__type(key, __u32);
	__type(value, struct lb_backend);
} BACKENDS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAP_MAX);
	__type(key, __u16);
	__type(value, struct lb_reverse_nat);
} REVERSE_NAT SEC(".maps");

struct maglev_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32) * MAGLEV_SIZE);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, LB_MAP_MAX);
	__type(key, __u16);
	__array(values, struct maglev_table);
} MAGLEV SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct lb_affinity_key);
	__type(value, struct lb_affinity_val);
} AFFINITY SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAP_MAX);
	__type(key, struct lb_affinity_match);
	__type(value, __u8);
} cilium_lb_affinity_match SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LB_MAP_MAX);
	__type(key, struct lb_src_range_key);
	__type(value, __u8);
} SOURCE_RANGE SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct revnat_tuple);
	__type(value, struct revnat_entry);
} REVERSE_SK SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct ct_tuple);
	__type(value, struct ct_entry);
} CONNECTIONS SEC(".maps");

/* Addresses of this node's own endpoints: what goes to them needs no stand-in for the client. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAP_MAX);
	__type(key, struct address);
	__type(value, __u8);
} cilium_lxc SEC(".maps");

/* Cookies of the network namespaces of this node: its own (value 1) and its pods' (0). On a real machine every socket
 * is the node's; here all nodes share one kernel, and each has to tell its own sockets from the others'.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u8);
} labkit_netns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct node_config);
} labkit_node SEC(".maps");
