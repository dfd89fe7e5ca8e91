/* Packets: reading and rewriting addresses and ports, with their checksums. */
#pragma once

#include "maps.h"

#include <stddef.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define IP_OFFSET ((__u32)sizeof(struct ethhdr))

#if FAMILY == 4
#define ETH_P ETH_P_IP
#define TTL_OFFSET (IP_OFFSET + offsetof(struct iphdr, ttl))
typedef struct iphdr ip_header;
#else
#define ETH_P ETH_P_IPV6
#define TTL_OFFSET (IP_OFFSET + offsetof(struct ipv6hdr, hop_limit))
typedef struct ipv6hdr ip_header;
#endif

struct packet {
	struct ct_tuple tuple;
	__u32 l4;			/* where TCP or UDP begins */
	__u8 ttl;
};

/* False where it is none of ours: not TCP or UDP at once behind the header of our family, or a fragment, which has no
 * ports. So ICMPv6 passes, and with it the search for neighbours; and so does what has IPv6 extension headers.
 */
static __always_inline bool read_packet(struct __sk_buff *skb, struct packet *packet)
{
	ip_header ip;
	__be16 ports[2];

	if (skb->protocol != bpf_htons(ETH_P) || bpf_skb_load_bytes(skb, IP_OFFSET, &ip, sizeof(ip)) < 0)
		return false;
#if FAMILY == 4
	if (ip.frag_off & bpf_htons(0x3fff))
		return false;
	packet->l4 = IP_OFFSET + ip.ihl * 4;
	packet->ttl = ip.ttl;
	packet->tuple = (struct ct_tuple){ .nexthdr = ip.protocol };
#else
	packet->l4 = IP_OFFSET + sizeof(ip);
	packet->ttl = ip.hop_limit;
	packet->tuple = (struct ct_tuple){ .nexthdr = ip.nexthdr };
#endif
	if ((packet->tuple.nexthdr != IPPROTO_TCP && packet->tuple.nexthdr != IPPROTO_UDP) ||
	    bpf_skb_load_bytes(skb, packet->l4, ports, sizeof(ports)) < 0)
		return false;
	__builtin_memcpy(&packet->tuple.saddr, &ip.saddr, sizeof(struct address));
	__builtin_memcpy(&packet->tuple.daddr, &ip.daddr, sizeof(struct address));
	packet->tuple.sport = ports[0];
	packet->tuple.dport = ports[1];
	return true;
}

static __always_inline void rewrite(struct __sk_buff *skb, struct packet *packet, __u32 ip_field,
				    struct address *old_address, struct address address, __u32 port_field,
				    __be16 *old_port, __be16 port)
{
	bool udp = packet->tuple.nexthdr == IPPROTO_UDP;
	__u32 sum = packet->l4 + (udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));
	__u64 mangled = udp ? BPF_F_MARK_MANGLED_0 : 0;

	if (!same(old_address, &address)) {
		__s64 change = bpf_csum_diff(old_address->words, sizeof(address), address.words, sizeof(address), 0);

		bpf_l4_csum_replace(skb, sum, 0, change, BPF_F_PSEUDO_HDR | mangled);
#if FAMILY == 4
		bpf_l3_csum_replace(skb, IP_OFFSET + offsetof(struct iphdr, check), 0, change, 0);
#endif
		bpf_skb_store_bytes(skb, IP_OFFSET + ip_field, &address, sizeof(address), 0);
		*old_address = address;
	}
	if (*old_port != port) {
		bpf_l4_csum_replace(skb, sum, *old_port, port, mangled | 2);
		bpf_skb_store_bytes(skb, packet->l4 + port_field, &port, sizeof(port), 0);
		*old_port = port;
	}
}

static __always_inline void set_source(struct __sk_buff *skb, struct packet *packet, struct address address, __be16 port)
{
	rewrite(skb, packet, offsetof(ip_header, saddr), &packet->tuple.saddr, address, 0, &packet->tuple.sport, port);
}

static __always_inline void set_destination(struct __sk_buff *skb, struct packet *packet, struct address address,
					    __be16 port)
{
	rewrite(skb, packet, offsetof(ip_header, daddr), &packet->tuple.daddr, address, 2, &packet->tuple.dport, port);
}

/* Send it out where it came in, without the network stack, which would refuse a source that is this node's own. */
static __always_inline int turn_round(struct __sk_buff *skb, struct packet *packet)
{
	__u8 ttl = packet->ttl - 1;

	if (packet->ttl <= 1)
		return TC_ACT_SHOT;
#if FAMILY == 4
	bpf_l3_csum_replace(skb, IP_OFFSET + offsetof(struct iphdr, check),
			    bpf_htons(packet->ttl << 8 | packet->tuple.nexthdr),
			    bpf_htons(ttl << 8 | packet->tuple.nexthdr), 2);
#endif
	bpf_skb_store_bytes(skb, TTL_OFFSET, &ttl, sizeof(ttl), 0);
	return bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
}
