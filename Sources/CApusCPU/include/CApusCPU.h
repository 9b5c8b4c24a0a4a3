// Processor instructions that Swift cannot express. Everything here is a leaf function without state:
// the CRC32C instruction, a cache-line prefetch, a comparison that the optimiser may not turn into a branch, and (in
// CApusDistance.h) inner products.
#ifndef APUS_CPU_H
#define APUS_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "CApusDistance.h"

/// Brings the cache line at `address` closer, without waiting and without faulting.
static inline void apus_prefetch(const void *address) {
    __builtin_prefetch(address, 0, 3);
}

/// 1 if a < b, else 0, as arithmetic: never a branch.
static inline uint64_t apus_less_than(uint64_t a, uint64_t b) {
    uint64_t result = a < b;
    __asm__("" : "+r"(result));
    return result;
}

#if defined(__x86_64__)
#define APUS_CRC_TARGET __attribute__((target("sse4.2,pclmul")))
#define APUS_CRC_U64(crc, word) __builtin_ia32_crc32di((crc), (word))
#define APUS_CRC_U8(crc, byte) __builtin_ia32_crc32qi((crc), (byte))
/// 1 if the processor has the CRC32C and carry-less multiplication instructions.
static inline int apus_has_crc32c(void) {
    return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
}
#elif defined(__aarch64__)
#define APUS_CRC_TARGET __attribute__((target("crc")))
#define APUS_CRC_U64(crc, word) __builtin_arm_crc32cd((uint32_t)(crc), (word))
#define APUS_CRC_U8(crc, byte) __builtin_arm_crc32cb((uint32_t)(crc), (byte))
static inline int apus_has_crc32c(void) { return 1; }
#endif

#if defined(__x86_64__) || defined(__aarch64__)

/// The product of a CRC32C state and x^(n-33) modulo the polynomial, where `power` is x^(n-33) bit-reflected: the
/// state moves over n bits of zeros. The carry-less product has 63 bits; the CRC instruction multiplies by x^33 (32
/// for itself, 1 for the reflection's missing bit) and reduces.
APUS_CRC_TARGET
static inline uint32_t apus_crc32c_shift(uint32_t state, uint32_t power) {
#if defined(__x86_64__)
    typedef long long pair __attribute__((vector_size(16)));
    pair product = __builtin_ia32_pclmulqdq128((pair){state, 0}, (pair){power, 0}, 0);
    return (uint32_t)APUS_CRC_U64(0, (uint64_t)product[0]);
#else
    uint64_t product = 0;
    for (int bit = 0; bit < 32; bit++) product ^= ((uint64_t)state << bit) & (0 - (uint64_t)(power >> bit & 1));
    return (uint32_t)APUS_CRC_U64(0, product);
#endif
}

/// Three lanes of `lane` bytes at once, which hides the instruction's latency of three cycles. `power1` and `power2`
/// move a state over one and two lanes.
APUS_CRC_TARGET
static inline uint32_t apus_crc32c_lanes(
    uint32_t state, const uint8_t *bytes, size_t lane, uint32_t power1, uint32_t power2) {
    uint64_t a = state, b = 0, c = 0;
    for (size_t offset = 0; offset < lane; offset += 8) {
        uint64_t words[3];
        __builtin_memcpy(&words[0], bytes + offset, 8);
        __builtin_memcpy(&words[1], bytes + lane + offset, 8);
        __builtin_memcpy(&words[2], bytes + 2 * lane + offset, 8);
        a = APUS_CRC_U64(a, words[0]);
        b = APUS_CRC_U64(b, words[1]);
        c = APUS_CRC_U64(c, words[2]);
    }
    return apus_crc32c_shift((uint32_t)a, power2) ^ apus_crc32c_shift((uint32_t)b, power1) ^ (uint32_t)c;
}

/// Continues the raw (inverted) CRC32C state over `count` bytes.
APUS_CRC_TARGET
static inline uint32_t apus_crc32c(uint32_t state, const void *bytes, size_t count) {
    const uint8_t *next = (const uint8_t *)bytes;
    // x^(8 * lane - 33) and x^(16 * lane - 33) modulo the polynomial, bit-reflected.
    for (; count >= 3 * 1024; next += 3 * 1024, count -= 3 * 1024)
        state = apus_crc32c_lanes(state, next, 1024, 0x170076fa, 0xa51b6135);
    for (; count >= 3 * 256; next += 3 * 256, count -= 3 * 256)
        state = apus_crc32c_lanes(state, next, 256, 0xb9e02b86, 0xdd7e3b0c);
    uint64_t crc = state;
    for (; count >= 8; next += 8, count -= 8) {
        uint64_t word;
        __builtin_memcpy(&word, next, 8);
        crc = APUS_CRC_U64(crc, word);
    }
    for (; count > 0; next++, count--) crc = APUS_CRC_U8((uint32_t)crc, *next);
    return (uint32_t)crc;
}

#endif

#endif
