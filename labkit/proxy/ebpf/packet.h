/* Packets: reading and rewriting addresses and ports, with their checksums. */
#pragma once

#include "maps.h"

#include <stddef.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define IP_OFFSET ((__u32)sizeof(struct ethhdr))

struct packet {
	struct ipv4_ct_tuple tuple;
	__u32 l4;			/* where TCP or UDP begins */
	__u8 ttl;
};

/* False where it is none of ours: not TCP or UDP over IPv4, or a fragment, which has no ports. */
static __always_inline bool read_packet(struct __sk_buff *skb, struct packet *packet)
{
	struct iphdr ip;
	__be16 ports[2];

	if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, IP_OFFSET, &ip, sizeof(ip)) < 0)
		return false;
	if ((ip.protocol != IPPROTO_TCP && ip.protocol != IPPROTO_UDP) || ip.frag_off & bpf_htons(0x3fff))
		return false;
	packet->l4 = IP_OFFSET + ip.ihl * 4;
	if (bpf_skb_load_bytes(skb, packet->l4, ports, sizeof(ports)) < 0)
		return false;
	packet->ttl = ip.ttl;
	packet->tuple = (struct ipv4_ct_tuple){
		.saddr = ip.saddr, .daddr = ip.daddr, .sport = ports[0], .dport = ports[1], .nexthdr = ip.protocol,
	};
	return true;
}

static __always_inline void rewrite(struct __sk_buff *skb, struct packet *packet, __u32 ip_field, __be32 *old_address,
				    __be32 address, __u32 port_field, __be16 *old_port, __be16 port)
{
	bool udp = packet->tuple.nexthdr == IPPROTO_UDP;
	__u32 sum = packet->l4 + (udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));
	__u64 mangled = udp ? BPF_F_MARK_MANGLED_0 : 0;

	if (*old_address != address) {
		bpf_l4_csum_replace(skb, sum, *old_address, address, BPF_F_PSEUDO_HDR | mangled | 4);
		bpf_l3_csum_replace(skb, IP_OFFSET + offsetof(struct iphdr, check), *old_address, address, 4);
		bpf_skb_store_bytes(skb, IP_OFFSET + ip_field, &address, sizeof(address), 0);
		*old_address = address;
	}
	if (*old_port != port) {
		bpf_l4_csum_replace(skb, sum, *old_port, port, mangled | 2);
		bpf_skb_store_bytes(skb, packet->l4 + port_field, &port, sizeof(port), 0);
		*old_port = port;
	}
}

static __always_inline void set_source(struct __sk_buff *skb, struct packet *packet, __be32 address, __be16 port)
{
	rewrite(skb, packet, offsetof(struct iphdr, saddr), &packet->tuple.saddr, address, 0, &packet->tuple.sport, port);
}

static __always_inline void set_destination(struct __sk_buff *skb, struct packet *packet, __be32 address, __be16 port)
{
	rewrite(skb, packet, offsetof(struct iphdr, daddr), &packet->tuple.daddr, address, 2, &packet->tuple.dport, port);
}

/* Send it out where it came in, without the network stack, which would refuse a source that is this node's own. */
static __always_inline int turn_round(struct __sk_buff *skb, struct packet *packet)
{
	__be16 before = bpf_htons(packet->ttl << 8 | packet->tuple.nexthdr), after;
	__u8 ttl = packet->ttl - 1;

	if (packet->ttl <= 1)
		return TC_ACT_SHOT;
	after = bpf_htons(ttl << 8 | packet->tuple.nexthdr);
	bpf_l3_csum_replace(skb, IP_OFFSET + offsetof(struct iphdr, check), before, after, 2);
	bpf_skb_store_bytes(skb, IP_OFFSET + offsetof(struct iphdr, ttl), &ttl, sizeof(ttl), 0);
	return bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
}
