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

/* The node's NodePorts are there on 127.0.0.0/8 too, for itself, under the address 0.0.0.0. */
static __always_inline struct lb4_service *find_service(struct lb4_key *key, bool of_node)
{
	struct lb4_service *service = lookup_service(key, true);

	if (service || !of_node || (key->address & bpf_htonl(0xff000000)) != bpf_htonl(0x7f000000))
		return service;
	key->address = 0;
	return lookup_service(key, true);
}

static __always_inline __u32 select_for_socket(struct lb4_key *key, struct lb4_service *service, __u64 netns)
{
	struct lb4_affinity_key client = { .client = netns, .rev_nat_id = service->rev_nat_index, .netns_cookie = 1 };
	bool sticky = service->flags & SVC_FLAG_AFFINITY;
	__u32 backend_id = sticky ? affinity_of(&client, service) : 0;

	if (!backend_id)
		backend_id = select_random(key, service);	/* Maglev is for what comes from outside */
	if (sticky && backend_id)
		keep_affinity(&client, backend_id);
	return backend_id;
}

/* Remember what was asked for, by the socket and the endpoint. */
static __always_inline void remember(struct bpf_sock_addr *ctx, struct lb4_backend *backend, __be32 address,
				     __be16 port, __u16 index)
{
	struct ipv4_revnat_tuple key = {
		.cookie = bpf_get_socket_cookie(ctx), .address = backend->address, .port = backend->port,
	};
	struct ipv4_revnat_entry entry = { .address = address, .port = port, .rev_nat_index = index };

	bpf_map_update_elem(&cilium_lb4_reverse_sk, &key, &entry, BPF_ANY);
}

/* Put the endpoint in the Service's place, in *address and *port; 0 or a negative error. */
static __always_inline int forward(struct bpf_sock_addr *ctx, __be32 *address, __be16 *port)
{
	struct lb4_key key = { .address = *address, .dport = *port, .proto = ctx->protocol };
	struct lb4_service *service;
	struct lb4_backend *backend;
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
	backend = bpf_map_lookup_elem(&cilium_lb4_backends_v3, &backend_id);
	if (!backend)
		return -EHOSTUNREACH;
	remember(ctx, backend, *address, *port, service->rev_nat_index);
	*address = backend->address;
	*port = backend->port;
	return 0;
}

/* Put the Service in the endpoint's place, where this socket had asked for the Service. */
static __always_inline void reverse(struct bpf_sock_addr *ctx, __be32 *address, __be16 *port)
{
	struct ipv4_revnat_tuple key = { .cookie = bpf_get_socket_cookie(ctx), .address = *address, .port = *port };
	struct ipv4_revnat_entry *entry;
	__u64 netns;

	if (owner(ctx, &netns) < 0)
		return;
	entry = bpf_map_lookup_elem(&cilium_lb4_reverse_sk, &key);
	if (!entry)
		return;
	*address = entry->address;
	*port = entry->port;
}

static __always_inline int forward4(struct bpf_sock_addr *ctx)
{
	__be32 address = ctx->user_ip4;
	__be16 port = ctx->user_port;
	int error = forward(ctx, &address, &port);

	if (error) {
		bpf_set_retval(error);
		return REJECT;
	}
	ctx->user_ip4 = address;
	ctx->user_port = port;
	return PROCEED;
}

static __always_inline int reverse4(struct bpf_sock_addr *ctx)
{
	__be32 address = ctx->user_ip4;
	__be16 port = ctx->user_port;

	reverse(ctx, &address, &port);
	ctx->user_ip4 = address;
	ctx->user_port = port;
	return PROCEED;
}

SEC("cgroup/connect4")
int cil_sock4_connect(struct bpf_sock_addr *ctx)
{
	return forward4(ctx);
}

SEC("cgroup/sendmsg4")
int cil_sock4_sendmsg(struct bpf_sock_addr *ctx)
{
	return forward4(ctx);
}

SEC("cgroup/recvmsg4")
int cil_sock4_recvmsg(struct bpf_sock_addr *ctx)
{
	return reverse4(ctx);
}

SEC("cgroup/getpeername4")
int cil_sock4_getpeername(struct bpf_sock_addr *ctx)
{
	return reverse4(ctx);
}

/* An IPv6 socket that talks IPv4: to ::ffff:10.96.0.7. */
static __always_inline bool mapped(struct bpf_sock_addr *ctx)
{
	return !ctx->user_ip6[0] && !ctx->user_ip6[1] && ctx->user_ip6[2] == bpf_htonl(0xffff);
}

static __always_inline int forward6(struct bpf_sock_addr *ctx)
{
	__be32 address = ctx->user_ip6[3];
	__be16 port = ctx->user_port;
	int error;

	if (!mapped(ctx))
		return PROCEED;
	error = forward(ctx, &address, &port);
	if (error) {
		bpf_set_retval(error);
		return REJECT;
	}
	ctx->user_ip6[3] = address;
	ctx->user_port = port;
	return PROCEED;
}

static __always_inline int reverse6(struct bpf_sock_addr *ctx)
{
	__be32 address = ctx->user_ip6[3];
	__be16 port = ctx->user_port;

	if (!mapped(ctx))
		return PROCEED;
	reverse(ctx, &address, &port);
	ctx->user_ip6[3] = address;
	ctx->user_port = port;
	return PROCEED;
}

SEC("cgroup/connect6")
int cil_sock6_connect(struct bpf_sock_addr *ctx)
{
	return forward6(ctx);
}

SEC("cgroup/sendmsg6")
int cil_sock6_sendmsg(struct bpf_sock_addr *ctx)
{
	return forward6(ctx);
}

SEC("cgroup/recvmsg6")
int cil_sock6_recvmsg(struct bpf_sock_addr *ctx)
{
	return reverse6(ctx);
}

SEC("cgroup/getpeername6")
int cil_sock6_getpeername(struct bpf_sock_addr *ctx)
{
	return reverse6(ctx);
}
