// Processor instructions that Swift cannot express. Everything here is a leaf function without state:
// the CRC32C instruction, a cache-line prefetch and a comparison that the optimiser may not turn into a branch.
#ifndef APUS_CPU_H
#define APUS_CPU_H

#include <stddef.h>
#include <stdint.h>

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
#define APUS_CRC_TARGET __attribute__((target("sse4.2")))
#define APUS_CRC_U64(crc, word) __builtin_ia32_crc32di((crc), (word))
#define APUS_CRC_U8(crc, byte) __builtin_ia32_crc32qi((crc), (byte))
static inline int apus_has_crc32c(void) { return __builtin_cpu_supports("sse4.2") != 0; }
#elif defined(__aarch64__)
#define APUS_CRC_TARGET __attribute__((target("crc")))
#define APUS_CRC_U64(crc, word) __builtin_arm_crc32cd((uint32_t)(crc), (word))
#define APUS_CRC_U8(crc, byte) __builtin_arm_crc32cb((uint32_t)(crc), (byte))
static inline int apus_has_crc32c(void) { return 1; }
#endif

/// Continues the raw (inverted) CRC32C state over `count` bytes.
APUS_CRC_TARGET
static inline uint32_t apus_crc32c(uint32_t state, const void *bytes, size_t count) {
    const uint8_t *next = (const uint8_t *)bytes;
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
