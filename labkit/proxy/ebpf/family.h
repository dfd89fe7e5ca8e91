/* One address family at a time: the same source is compiled for IPv4 and for IPv6 (FAMILY is 4 or 6). */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>

#define JOINED(before, number, after) before##number##after
#define JOIN(before, number, after) JOINED(before, number, after)
#define NAME(before, after) JOIN(before, FAMILY, after)	/* NAME(cilium_lb, _maglev): cilium_lb4_maglev */

#define WORDS (FAMILY == 4 ? 1 : 4)

struct address {			/* in network order */
	__be32 words[WORDS];
};

static __always_inline bool same(const struct address *one, const struct address *other)
{
	__u32 different = 0;

	for (int i = 0; i < WORDS; i++)
		different |= one->words[i] ^ other->words[i];
	return !different;
}
