/* siphash.h - SipHash-2-4 (Aumasson and Bernstein 2012) with 64 and 128 bits of output. */
#ifndef MU_BASE_SIPHASH_H
#define MU_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t mu_siphash64(const uint8_t key[16], const void *data, size_t n);
void mu_siphash128(const uint8_t key[16], const void *data, size_t n, uint8_t out[16]);

#endif
