/* Which endpoint: what the socket's hooks and the interface's have in common (bpf/lib/lb.h). */
#pragma once

#include "maps.h"

static __always_inline struct lb_service *lookup_slot(struct lb_key *key, __u16 slot)
{
	key->backend_slot = slot;
	return bpf_map_lookup_elem(&SERVICES, key);
}

/* The frontend's slot 0. `internal`: asked by a pod or the node, for whom policy Local of external addresses is void. */
static __always_inline struct lb_service *lookup_service(struct lb_key *key, bool internal)
{
	struct lb_service *service;

	key->scope = SCOPE_EXT;
	service = lookup_slot(key, 0);
	if (!service || !internal || !(service->flags2 & SVC_FLAG2_TWO_SCOPES))
		return service;
	key->scope = SCOPE_INT;
	return lookup_slot(key, 0);
}

static __always_inline __u32 select_random(struct lb_key *key, struct lb_service *service)
{
	struct lb_service *slot = lookup_slot(key, bpf_get_prandom_u32() % service->count + 1);

	return slot ? slot->backend_id : 0;
}

static __always_inline __u32 select_maglev(struct lb_service *service, __u32 hash)
{
	__u16 number = bpf_htons(service->rev_nat_index);
	__u32 zero = 0, index = hash % MAGLEV_SIZE, *table;
	void *inner = bpf_map_lookup_elem(&MAGLEV, &number);

	if (!inner)
		return 0;
	table = bpf_map_lookup_elem(inner, &zero);
	asm volatile("" : "+r"(index));	/* or the compiler takes the verifier's proof away: that it is in the table */
	return table && index < MAGLEV_SIZE ? table[index] : 0;
}

static __always_inline __u64 now(void)
{
	return bpf_ktime_get_ns() / 1000000000;
}

/* The endpoint that this client had, if it is still one of the frontend's and the client was here not long ago. */
static __always_inline __u32 affinity_of(struct lb_affinity_key *client, struct lb_service *service)
{
	struct lb_affinity_match match = { .rev_nat_id = client->rev_nat_id };
	struct lb_affinity_val *last = bpf_map_lookup_elem(&AFFINITY, client);
	__u64 seconds = service->affinity_timeout & 0xffffff;

	if (!last)
		return 0;
	match.backend_id = last->backend_id;
	if (last->last_used + seconds <= now() || !bpf_map_lookup_elem(&cilium_lb_affinity_match, &match)) {
		bpf_map_delete_elem(&AFFINITY, client);
		return 0;
	}
	return last->backend_id;
}

static __always_inline void keep_affinity(struct lb_affinity_key *client, __u32 backend_id)
{
	struct lb_affinity_val last = { .last_used = now(), .backend_id = backend_id };

	bpf_map_update_elem(&AFFINITY, client, &last, BPF_ANY);
}
