/* "There is no endpoint": an ICMP error instead of silence (bpf/lib/nodeport.h, tail_no_service_ipv4 and _ipv6). */
#pragma once

#include "packet.h"

/* Of the packet that is refused. RFC 792 wants 8 bytes behind the IP header; a packet whose checksum the sender has left
 * to its interface cannot be cut before the end of that checksum.
 */
#define QUOTED (sizeof(ip_header) + sizeof(struct tcphdr))
#if FAMILY == 4
#define UNREACHABLE 3
#define PORT 3
#else
#define UNREACHABLE 1
#define PORT 4
#endif

struct icmp {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 unused;
};

struct answer {
	ip_header ip;
	struct icmp icmp;
};

static __always_inline __u32 sum_of(void *data, __u32 size, __u32 before)
{
	return bpf_csum_diff(NULL, 0, data, size, before);
}

static __always_inline __u16 checksum(__s64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The header in front of the error. Returns what it adds to the error's own checksum. */
static __always_inline __u32 head(ip_header *ip, struct packet *packet)
{
	__builtin_memcpy(&ip->saddr, &packet->tuple.daddr, sizeof(struct address));
	__builtin_memcpy(&ip->daddr, &packet->tuple.saddr, sizeof(struct address));
#if FAMILY == 4
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(sizeof(struct answer) + QUOTED);
	ip->ttl = 64;
	ip->protocol = IPPROTO_ICMP;
	ip->check = checksum(sum_of(ip, sizeof(*ip), 0));
	return 0;
#else
	__be32 rest[2] = { bpf_htonl(sizeof(struct icmp) + QUOTED), bpf_htonl(IPPROTO_ICMPV6) };

	ip->version = 6;
	ip->payload_len = bpf_htons(sizeof(struct icmp) + QUOTED);
	ip->hop_limit = 64;
	ip->nexthdr = IPPROTO_ICMPV6;
	return sum_of(&ip->saddr, 2 * sizeof(struct address), sum_of(rest, sizeof(rest), 0));
#endif
}

static __always_inline int refuse(struct __sk_buff *skb, struct packet *packet)
{
	struct answer answer = {};
	__u8 quoted[QUOTED];
	__u32 sum;

	if (packet->l4 != IP_OFFSET + sizeof(ip_header))
		return TC_ACT_SHOT;	/* with options: not worth it */
	if (bpf_skb_change_tail(skb, IP_OFFSET + QUOTED, 0) < 0 ||
	    bpf_skb_load_bytes(skb, IP_OFFSET, quoted, sizeof(quoted)) < 0 ||
	    bpf_skb_adjust_room(skb, sizeof(answer), BPF_ADJ_ROOM_MAC, 0) < 0)
		return TC_ACT_SHOT;
	sum = head(&answer.ip, packet);
	answer.icmp.type = UNREACHABLE;
	answer.icmp.code = PORT;
	sum = sum_of(&answer.icmp, sizeof(answer.icmp), sum);
	answer.icmp.checksum = checksum(sum_of(quoted, sizeof(quoted), sum));
	if (bpf_skb_store_bytes(skb, IP_OFFSET, &answer, sizeof(answer), BPF_F_INVALIDATE_HASH) < 0)
		return TC_ACT_SHOT;
	return bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
}
