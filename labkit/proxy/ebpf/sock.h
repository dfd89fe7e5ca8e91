/* Socket load balancing: the endpoint is picked when a program connects (bpf/bpf_sock.c).
 *
 *   connect(10.96.0.7:80) ──> cil_sock4_connect ──> the kernel connects to 10.244.2.3:8080
 *   getpeername()         <── cil_sock4_getpeername says 10.96.0.7:80
 *
 * Packets leave with the endpoint's address, so that nothing has to be translated on their way. UDP without connect()
 * is translated by datagram, and the sender that a program sees (recvmsg) is the Service again.
 */
#pragma once

#include "lb.h"

#define PROCEED 1
#define REJECT 0
#define EHOSTUNREACH 113

#define POD 0
#define NODE 1

/* Whether a socket is this node's business, and whose it is: POD, NODE, or -1. */
static __always_inline int owner(struct bpf_sock_addr *ctx, __u64 *cookie)
{
	__u8 *kind;

	*cookie = bpf_get_netns_cookie(ctx);
	kind = bpf_map_lookup_elem(&labkit_netns, cookie);
	return kind ? *kind : -1;
}

static __always_inline bool loopback(const struct address *address)
{
#if FAMILY == 4
	return (address->words[0] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
#else
	return same(address, &(struct address){ { 0, 0, 0, bpf_htonl(1) } });
#endif
}

/* The node's NodePorts are there on 127.0.0.0/8 and ::1 too, for itself, under the address 0.0.0.0 or ::. */
static __always_inline struct lb_service *find_service(struct lb_key *key, bool of_node)
{
	struct lb_service *service = lookup_service(key, true);

	if (service || !of_node || !loopback(&key->address))
		return service;
	key->address = (struct address){};
	return lookup_service(key, true);
}

static __always_inline __u32 select_for_socket(struct lb_key *key, struct lb_service *service, __u64 netns)
{
	struct lb_affinity_key client = {};
	bool sticky = service->flags & SVC_FLAG_AFFINITY;
	__u32 backend_id;

	client.cookie = netns;
	client.rev_nat_id = service->rev_nat_index;
	client.netns_cookie = 1;
	backend_id = sticky ? affinity_of(&client, service) : 0;
	if (!backend_id)
		backend_id = select_random(key, service);	/* Maglev is for what comes from outside */
	if (sticky && backend_id)
		keep_affinity(&client, backend_id);
	return backend_id;
}

/* Remember what was asked for, by the socket and the endpoint. */
static __always_inline void remember(struct bpf_sock_addr *ctx, struct lb_backend *backend, struct address *address,
				     __be16 port, __u16 index)
{
	struct revnat_tuple key = {
		.cookie = bpf_get_socket_cookie(ctx), .address = backend->address, .port = backend->port,
	};
	struct revnat_entry entry = { .address = *address, .port = port, .rev_nat_index = index };

	bpf_map_update_elem(&REVERSE_SK, &key, &entry, BPF_ANY);
}

/* Put the endpoint in the Service's place, in *address and *port; 0 or a negative error. */
static __always_inline int forward(struct bpf_sock_addr *ctx, struct address *address, __be16 *port)
{
	struct lb_key key = { .address = *address, .dport = *port, .proto = ctx->protocol };
	struct lb_service *service;
	struct lb_backend *backend;
	__u32 backend_id;
	__u64 netns;
	int kind = owner(ctx, &netns);

	if (kind < 0)
		return 0;
	service = find_service(&key, kind == NODE);
	if (!service)
		return 0;
	if (!service->count)
		return -EHOSTUNREACH;
	backend_id = select_for_socket(&key, service, netns);
	backend = bpf_map_lookup_elem(&BACKENDS, &backend_id);
	if (!backend)
		return -EHOSTUNREACH;
	remember(ctx, backend, address, *port, service->rev_nat_index);
	*address = backend->address;
	*port = backend->port;
	return 0;
}

/* Put the Service in the endpoint's place, where this socket had asked for the Service. */
static __always_inline int reverse(struct bpf_sock_addr *ctx, struct address *address, __be16 *port)
{
	struct revnat_tuple key = { .cookie = bpf_get_socket_cookie(ctx), .address = *address, .port = *port };
	struct revnat_entry *entry;
	__u64 netns;

	if (owner(ctx, &netns) < 0)
		return 0;
	entry = bpf_map_lookup_elem(&REVERSE_SK, &key);
	if (!entry)
		return 0;
	*address = entry->address;
	*port = entry->port;
	return 0;
}

/* Where an address of our family is in the context of an IPv6 socket: all four words; the last one of ::ffff:10.96.0.7,
 * by which such a socket talks IPv4. False where the address is of the other family.
 */
static __always_inline bool load6(struct bpf_sock_addr *ctx, struct address *address)
{
	bool mapped = !ctx->user_ip6[0] && !ctx->user_ip6[1] && ctx->user_ip6[2] == bpf_htonl(0xffff);

#if FAMILY == 4
	address->words[0] = ctx->user_ip6[3];
	return mapped;
#else
	*address = (struct address){
		{ ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] },
	};
	return !mapped;
#endif
}

static __always_inline void store6(struct bpf_sock_addr *ctx, const struct address *address)
{
#if FAMILY == 6
	ctx->user_ip6[0] = address->words[0];
	ctx->user_ip6[1] = address->words[1];
	ctx->user_ip6[2] = address->words[2];
#endif
	ctx->user_ip6[3] = address->words[WORDS - 1];
}

static __always_inline bool load4(struct bpf_sock_addr *ctx, struct address *address)
{
	address->words[0] = ctx->user_ip4;
	return true;
}

static __always_inline void store4(struct bpf_sock_addr *ctx, const struct address *address)
{
	ctx->user_ip4 = address->words[0];
}

/* A hook of the sockets of one version: cil_sock4_connect, … */
#define HOOK(version, name, act)							\
SEC("cgroup/" #name #version)								\
int cil_sock##version##_##name(struct bpf_sock_addr *ctx)				\
{											\
	struct address address;								\
	__be16 port = ctx->user_port;							\
	int error;									\
											\
	if (!load##version(ctx, &address))						\
		return PROCEED;								\
	error = act(ctx, &address, &port);						\
	if (error) {									\
		bpf_set_retval(error);							\
		return REJECT;								\
	}										\
	store##version(ctx, &address);							\
	ctx->user_port = port;								\
	return PROCEED;									\
}

#define HOOKS(version)									\
HOOK(version, connect, forward)								\
HOOK(version, sendmsg, forward)								\
HOOK(version, recvmsg, reverse)								\
HOOK(version, getpeername, reverse)

HOOKS(6)
#if FAMILY == 4
HOOKS(4)
#endif
