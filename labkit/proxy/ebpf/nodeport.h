/* NodePorts, external and load balancer addresses: what comes in by the node's cable (bpf/lib/nodeport.h).
 *
 *   client ──> node:30080   cil_from_netdev   endpoint here       ──> its pod, which sees the client's address
 *   client <── node:30080   cil_to_netdev     <── its pod
 *
 *   client ──> node:30080   cil_from_netdev   endpoint elsewhere  ──> that node, from this node's own address (SNAT)
 *   client <── node:30080   cil_from_netdev   <── that node
 *
 * Two entries of the connection map belong to a connection: one by the packets of the client, one by the endpoint's.
 * What is none of its business a program leaves to the other family's, which is behind it or before it (TC_ACT_UNSPEC).
 */
#pragma once

#include "lb.h"
#include "packet.h"
#include "refuse.h"

#define FIRST_NAT_PORT 1024		/* below NodePorts, and below what the node's own programs get (32768 on) */
#define NAT_PORTS (30000 - FIRST_NAT_PORT)
#define NAT_TRIES 16
#define TCP_SECONDS 8000		/* that a connection is remembered without a packet: --bpf-ct-timeout-… */
#define ANY_SECONDS 60
#define CLOSING_SECONDS 60		/* an endpoint may be in TIME_WAIT so long, and takes nothing from that port */
#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

static __always_inline __u32 hash_of(struct ct_tuple *tuple)
{
	__u64 mixed = 0;

	for (int i = 0; i < WORDS; i++)
		mixed = mixed * 31 + ((__u64)tuple->saddr.words[i] << 32 | tuple->daddr.words[i]);
	mixed ^= ((__u64)tuple->sport << 32 | (__u64)tuple->dport << 8 | tuple->nexthdr) * 0x9e3779b97f4a7c15ULL;
	mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccdULL;	/* MurmurHash3's finalizer */
	mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return mixed ^ (mixed >> 33);
}

static __always_inline __u32 select_for_packet(struct lb_key *key, struct lb_service *service,
					       struct ct_tuple *tuple)
{
	struct lb_affinity_key client = {};
	bool sticky = service->flags & SVC_FLAG_AFFINITY;
	__u32 backend_id;

	client.address = tuple->saddr;
	client.rev_nat_id = service->rev_nat_index;
	backend_id = sticky ? affinity_of(&client, service) : 0;
	if (!backend_id && service->affinity_timeout >> 24 == ALGORITHM_MAGLEV)
		backend_id = select_maglev(service, hash_of(tuple));
	if (!backend_id)
		backend_id = select_random(key, service);
	if (sticky && backend_id)
		keep_affinity(&client, backend_id);
	return backend_id;
}

static __always_inline bool allowed(struct lb_service *service, const struct address *client)
{
	struct lb_src_range_key key = {
		.prefix = 32 + 8 * sizeof(*client), .rev_nat_id = service->rev_nat_index, .address = *client,
	};

	return !(service->flags & SVC_FLAG_SOURCE_RANGE) || bpf_map_lookup_elem(&SOURCE_RANGE, &key);
}

/* Whether policy Local leaves this node without an endpoint that others have. */
static __always_inline bool elsewhere(struct lb_key *key, struct lb_service *service)
{
	if (!(service->flags2 & SVC_FLAG2_TWO_SCOPES))
		return false;
	key->scope = SCOPE_INT;
	service = lookup_slot(key, 0);
	return service && service->count;
}

static __always_inline __u8 tcp_flags(struct __sk_buff *skb, struct packet *packet)
{
	__u8 flags = 0;

	if (packet->tuple.nexthdr == IPPROTO_TCP)
		bpf_skb_load_bytes(skb, packet->l4 + 13, &flags, sizeof(flags));
	return flags;
}

static __always_inline __u32 end_of_life(struct ct_entry *entry, __u8 protocol)
{
	if (entry->closing)
		return now() + CLOSING_SECONDS;
	return now() + (protocol == IPPROTO_TCP ? TCP_SECONDS : ANY_SECONDS);
}

/* Whether a connection that is known goes on with this packet, and if so, for how long it will be known now. */
static __always_inline bool goes_on(struct ct_entry *entry, struct packet *packet, __u8 flags)
{
	if (entry->lifetime < now() || (entry->closing && (flags & (SYN | ACK)) == SYN))
		return false;
	if (flags & (FIN | RST))
		entry->closing = 1;
	entry->lifetime = end_of_life(entry, packet->tuple.nexthdr);
	return true;
}

/* The endpoint of a connection that is known, if there is still one: a new one is not for one that terminates. */
static __always_inline struct lb_backend *known_backend(struct ct_entry *known, struct packet *packet, __u8 flags)
{
	struct lb_backend *backend;

	if (!known || !goes_on(known, packet, flags))
		return NULL;
	backend = bpf_map_lookup_elem(&BACKENDS, &known->backend_id);
	return backend && backend->flags == TERMINATING && (flags & (SYN | ACK)) == SYN ? NULL : backend;
}

static __always_inline __u32 folded(const struct address *address)
{
	__u32 found = 0;

	for (int i = 0; i < WORDS; i++)
		found = found * 31 + address->words[i];
	return found;
}

/* Remember how the endpoint's packets will look: to the client, or to a free port of this node, where `node` is given. */
static __always_inline bool expect_replies(struct ct_entry *entry, struct ct_tuple *tuple,
					   struct lb_backend *backend, const struct address *node)
{
	struct ct_tuple reply = {
		.saddr = backend->address, .sport = backend->port, .daddr = tuple->saddr, .dport = tuple->sport,
		.nexthdr = tuple->nexthdr, .reply = 1,
	};
	/* A client's ports follow each other, and so do these: none comes again before the client's own does. */
	__u32 start = folded(&tuple->saddr) * 2654435761u + bpf_ntohs(tuple->sport);

	if (!node)
		return bpf_map_update_elem(&CONNECTIONS, &reply, entry, BPF_ANY) == 0;
	reply.daddr = *node;
	for (__u32 i = 0; i < NAT_TRIES; i++) {
		struct ct_entry *other;

		reply.dport = bpf_htons(FIRST_NAT_PORT + (start + i) % NAT_PORTS);
		other = bpf_map_lookup_elem(&CONNECTIONS, &reply);
		if (other && other->lifetime >= now())
			continue;
		entry->nat_port = reply.dport;
		return bpf_map_update_elem(&CONNECTIONS, &reply, entry, BPF_ANY) == 0;
	}
	return false;
}

/* A reply to this node, which stood in for the client: from the Service to the client. */
static __always_inline int reply_to_client(struct __sk_buff *skb, struct packet *packet, struct ct_entry *entry)
{
	__u16 index = bpf_htons(entry->rev_nat_index);
	struct lb_reverse_nat *service = bpf_map_lookup_elem(&REVERSE_NAT, &index);

	if (!service || !goes_on(entry, packet, tcp_flags(skb, packet)))
		return TC_ACT_SHOT;	/* the Service has gone, or the client */
	set_destination(skb, packet, entry->client, entry->client_port);
	set_source(skb, packet, service->address, service->port);
	return turn_round(skb, packet);
}

static __always_inline int to_endpoint(struct __sk_buff *skb, struct packet *packet, struct ct_entry *entry,
				       struct lb_backend *backend, const struct address *node)
{
	set_destination(skb, packet, backend->address, backend->port);
	if (!entry->nat_port)
		return TC_ACT_OK;
	set_source(skb, packet, *node, entry->nat_port);
	return turn_round(skb, packet);
}

/* The first packet of a connection: pick an endpoint, and remember it. */
static __always_inline int begin(struct __sk_buff *skb, struct packet *packet, struct lb_key *key,
				 struct lb_service *service, const struct address *node)
{
	struct ct_entry entry = {
		.rev_nat_index = service->rev_nat_index, .client = packet->tuple.saddr,
		.client_port = packet->tuple.sport,
	};
	struct lb_backend *backend;
	bool here;

	entry.lifetime = end_of_life(&entry, packet->tuple.nexthdr);
	entry.backend_id = select_for_packet(key, service, &packet->tuple);
	backend = bpf_map_lookup_elem(&BACKENDS, &entry.backend_id);
	if (!backend)
		return TC_ACT_SHOT;
	here = bpf_map_lookup_elem(&cilium_lxc, &backend->address);
	if (!expect_replies(&entry, &packet->tuple, backend, here ? NULL : node))
		return TC_ACT_SHOT;
	bpf_map_update_elem(&CONNECTIONS, &packet->tuple, &entry, BPF_ANY);
	return to_endpoint(skb, packet, &entry, backend, node);
}

SEC("tc")
int cil_from_netdev(struct __sk_buff *skb)
{
	struct packet packet;
	struct lb_key key = {};
	struct lb_service *service;
	struct lb_backend *backend;
	struct node_config *config;
	struct ct_entry *known;
	__u32 zero = 0;

	if (!read_packet(skb, &packet))
		return TC_ACT_UNSPEC;
	packet.tuple.reply = 1;
	known = bpf_map_lookup_elem(&CONNECTIONS, &packet.tuple);
	if (known && known->nat_port)
		return reply_to_client(skb, &packet, known);

	packet.tuple.reply = 0;
	key.address = packet.tuple.daddr;
	key.dport = packet.tuple.dport;
	key.proto = packet.tuple.nexthdr;
	service = lookup_service(&key, false);
	if (!service)
		return TC_ACT_UNSPEC;
	config = bpf_map_lookup_elem(&labkit_node, &zero);
	if (!config || !(service->flags & SVC_FLAG_ROUTABLE) || !allowed(service, &packet.tuple.saddr))
		return TC_ACT_SHOT;
	known = bpf_map_lookup_elem(&CONNECTIONS, &packet.tuple);
	backend = known_backend(known, &packet, tcp_flags(skb, &packet));
	if (known && backend)
		return to_endpoint(skb, &packet, known, backend, &config->address);
	if (!service->count)
		return elsewhere(&key, service) ? TC_ACT_SHOT : refuse(skb, &packet);
	return begin(skb, &packet, &key, service, &config->address);
}

/* What leaves by the cable: a reply of an endpoint here to a client outside is from the Service. */
SEC("tc")
int cil_to_netdev(struct __sk_buff *skb)
{
	struct packet packet;
	struct ct_entry *known;
	struct lb_reverse_nat *service;
	__u16 index;

	if (!read_packet(skb, &packet))
		return TC_ACT_UNSPEC;
	packet.tuple.reply = 1;
	known = bpf_map_lookup_elem(&CONNECTIONS, &packet.tuple);
	if (!known || known->nat_port)
		return TC_ACT_UNSPEC;
	index = bpf_htons(known->rev_nat_index);
	service = bpf_map_lookup_elem(&REVERSE_NAT, &index);
	if (!service)
		return TC_ACT_SHOT;
	set_source(skb, &packet, service->address, service->port);
	return TC_ACT_OK;
}
