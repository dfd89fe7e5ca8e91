/* "There is no endpoint": an ICMP error instead of silence (bpf/lib/nodeport.h, tail_no_service_ipv4). */
#pragma once

#include "packet.h"

/* Of the packet that is refused. RFC 792 wants 8 bytes behind the IP header; a packet whose checksum the sender has left
 * to its interface cannot be cut before the end of that checksum.
 */
#define QUOTED (sizeof(struct iphdr) + sizeof(struct tcphdr))
#define UNREACHABLE 3
#define PORT 3

struct icmp {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 unused;
};

struct answer {
	struct iphdr ip;
	struct icmp icmp;
};

static __always_inline __u16 checksum(__s64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline int refuse(struct __sk_buff *skb, struct packet *packet)
{
	struct answer answer = {};
	__u8 quoted[QUOTED];

	if (packet->l4 != IP_OFFSET + sizeof(struct iphdr))
		return TC_ACT_SHOT;	/* with options: not worth it */
	if (bpf_skb_change_tail(skb, IP_OFFSET + QUOTED, 0) < 0 ||
	    bpf_skb_load_bytes(skb, IP_OFFSET, quoted, sizeof(quoted)) < 0 ||
	    bpf_skb_adjust_room(skb, sizeof(answer), BPF_ADJ_ROOM_MAC, 0) < 0)
		return TC_ACT_SHOT;
	answer.ip.version = 4;
	answer.ip.ihl = 5;
	answer.ip.tot_len = bpf_htons(sizeof(answer) + QUOTED);
	answer.ip.ttl = 64;
	answer.ip.protocol = IPPROTO_ICMP;
	answer.ip.saddr = packet->tuple.daddr;
	answer.ip.daddr = packet->tuple.saddr;
	answer.ip.check = checksum(bpf_csum_diff(NULL, 0, (__be32 *)&answer.ip, sizeof(answer.ip), 0));
	answer.icmp.type = UNREACHABLE;
	answer.icmp.code = PORT;
	answer.icmp.checksum = checksum(bpf_csum_diff(NULL, 0, (__be32 *)quoted, sizeof(quoted),
				       bpf_csum_diff(NULL, 0, (__be32 *)&answer.icmp, sizeof(answer.icmp), 0)));
	if (bpf_skb_store_bytes(skb, IP_OFFSET, &answer, sizeof(answer), BPF_F_INVALIDATE_HASH) < 0)
		return TC_ACT_SHOT;
	return bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
}
