#include "transport/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "muster.h"

struct peer {
    uint8_t addr[16]; /* IPv4 mapped into IPv6 */
    uint32_t streams;
    uint32_t next_free; /* while streams is 0 */
};

struct mu_peers {
    struct mu_map by_addr;
    struct peer *all;
    uint32_t n, cap, free; /* free: head of the list of unused ones, or MU_PEER_NONE */
    uint32_t max;
    uint8_t key[16];
};

static bool peer_eq(const void *ctx, uint32_t value, const void *key)
{
    const struct mu_peers *peers = ctx;

    return memcmp(peers->all[value].addr, key, 16) == 0;
}

static uint64_t peer_hash(const void *ctx, uint32_t value)
{
    const struct mu_peers *peers = ctx;

    return mu_siphash64(peers->key, peers->all[value].addr, 16);
}

int mu_peers_new(struct mu_peers **out, uint32_t max)
{
    struct mu_peers *peers = mu_alloc(sizeof(*peers));

    if (!peers)
        return MU_ENOMEM;
    if (mu_rng_secret(peers->key, sizeof(peers->key))) {
        mu_free(peers);
        return MU_EIO;
    }
    mu_map_init(&peers->by_addr, peer_eq, peer_hash, peers);
    peers->max = max;
    peers->free = MU_PEER_NONE;
    *out = peers;
    return 0;
}

void mu_peers_free(struct mu_peers *peers)
{
    if (!peers)
        return;
    mu_map_fini(&peers->by_addr);
    mu_free(peers->all);
    mu_free(peers);
}

/* Whether @from is an address that is counted; then it is written to @addr. */
static bool counted(const struct sockaddr *from, uint8_t addr[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        memcpy(addr, mapped, 12);
        memcpy(addr + 12, &v4->sin_addr, 4);
        return addr[12] != 127;
    }
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
        memcpy(addr, &v6->sin6_addr, 16);
        return !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    return false;
}

static int new_peer(struct mu_peers *peers, uint32_t *out)
{
    if (peers->free != MU_PEER_NONE) {
        *out = peers->free;
        peers->free = peers->all[*out].next_free;
        return 0;
    }
    if (peers->n == peers->cap) {
        uint32_t cap = peers->cap ? 2 * peers->cap : 64;
        struct peer *all = mu_realloc(peers->all, cap, sizeof(*all));
        if (!all)
            return MU_ENOMEM;
        peers->all = all;
        peers->cap = cap;
    }
    *out = peers->n++;
    return 0;
}

int mu_peers_take(struct mu_peers *peers, const struct sockaddr *from, uint32_t *peer)
{
    uint8_t addr[16];
    uint32_t found;
    uint64_t hash;

    *peer = MU_PEER_NONE;
    if (peers->max == 0 || !counted(from, addr))
        return 0;
    hash = mu_siphash64(peers->key, addr, 16);
    found = mu_map_find(&peers->by_addr, hash, addr);
    if (found == MU_MAP_NONE) {
        if (mu_map_reserve(&peers->by_addr) || new_peer(peers, &found))
            return MU_ENOMEM;
        memcpy(peers->all[found].addr, addr, 16);
        peers->all[found].streams = 0;
        (void)mu_map_put(&peers->by_addr, hash, found); /* reserved: cannot fail */
    } else if (peers->all[found].streams >= peers->max) {
        return MU_EFULL;
    }
    peers->all[found].streams++;
    *peer = found;
    return 0;
}

void mu_peers_drop(struct mu_peers *peers, uint32_t peer)
{
    if (peer == MU_PEER_NONE || --peers->all[peer].streams > 0)
        return;
    (void)mu_map_del(&peers->by_addr, peer_hash(peers, peer), peer);
    peers->all[peer].next_free = peers->free;
    peers->free = peer;
}
