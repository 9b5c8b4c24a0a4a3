// Inner products with instructions beyond the baseline: what Swift's SIMD types cannot reach without raising the
// baseline of the whole program. Leaf functions without state; whoever calls one has asked `apus_vector_level` first.
// Rows need no alignment, lengths no rounding. The order of additions differs between functions, so floating-point
// results differ in their last bits; the integer results are exact and equal everywhere.
#ifndef APUS_DISTANCE_H
#define APUS_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/// 0: nothing beyond the baseline. 1: AVX2, FMA and F16C (x86-64), or NEON (arm64, where it is the baseline).
/// 2: also AVX-512 with VNNI. 3: AVX2 and AVX-VNNI.
static inline int apus_vector_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c")) return 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vnni"))
        return 2;
#if defined(__clang__) && __clang_major__ >= 18
    if (__builtin_cpu_supports("avxvnni")) return 3;
#endif
    return 1;
#elif defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

/// Asks for the lines of a row of `count` bytes.
static inline void apus_prefetch_row(const void *row, size_t count) {
    for (size_t offset = 0; offset < count; offset += 64) __builtin_prefetch((const char *)row + offset, 0, 3);
}

/// Σ query[i] · row[i] for each of `rows` rows: the loop around a kernel, which asks for rows before it needs them.
#define APUS_DOTS_I16_I8(name, target_attribute, kernel)                                                            \
    target_attribute static inline void name(                                                                        \
        const int16_t *query, const int8_t *const *rows, size_t row_count, size_t count, int32_t *results) {         \
        size_t ahead = row_count < 4 ? row_count : 4;                                                                 \
        for (size_t row = 0; row < ahead; row++) apus_prefetch_row(rows[row], count);                                 \
        for (size_t row = 0; row < row_count; row++) {                                                                \
            if (row + 4 < row_count) apus_prefetch_row(rows[row + 4], count);                                         \
            results[row] = kernel(query, rows[row], count);                                                           \
        }                                                                                                             \
    }                                                                                                                 \
    /* The same for rows that lie `stride` bytes apart. */                                                            \
    target_attribute static inline void name##_adjacent(                                                             \
        const int16_t *query, const int8_t *rows, size_t stride, size_t row_count, size_t count, int32_t *results) { \
        for (size_t row = 0; row < row_count; row++) {                                                                \
            apus_prefetch_row(rows + (row + 4) * stride, count);                                                      \
            results[row] = kernel(query, rows + row * stride, count);                                                 \
        }                                                                                                             \
    }

#if defined(__x86_64__)

#define APUS_AVX2 __attribute__((target("avx2,fma,f16c")))
#define APUS_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")))
#define APUS_AVXVNNI __attribute__((target("avxvnni,avx2,fma,f16c")))

APUS_AVX2
static inline float apus_sum_f32_avx2(__m256 sum) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

APUS_AVX2
static inline int32_t apus_sum_i32_avx2(__m256i sum) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1)));
}

/// Σ a[i] · b[i].
APUS_AVX2
static inline float apus_dot_f32_avx2(const float *a, const float *b, size_t count) {
    __m256 sum0 = _mm256_setzero_ps(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        sum0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), sum0);
        sum1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), sum1);
        sum2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), sum2);
        sum3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), sum3);
    }
    for (; i + 8 <= count; i += 8) sum0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), sum0);
    float sum = apus_sum_f32_avx2(_mm256_add_ps(_mm256_add_ps(sum0, sum1), _mm256_add_ps(sum2, sum3)));
    for (; i < count; i++) sum += a[i] * b[i];
    return sum;
}

/// Σ (a[i] − b[i])².
APUS_AVX2
static inline float apus_l2_f32_avx2(const float *a, const float *b, size_t count) {
    __m256 sum0 = _mm256_setzero_ps(), sum1 = sum0;
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
        __m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
        sum0 = _mm256_fmadd_ps(d0, d0, sum0);
        sum1 = _mm256_fmadd_ps(d1, d1, sum1);
    }
    float sum = apus_sum_f32_avx2(_mm256_add_ps(sum0, sum1));
    for (; i < count; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/// 32-bit floats from 16-bit ones.
APUS_AVX2
static inline void apus_widen_f16_avx2(const uint16_t *halves, float *floats, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(floats + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(halves + i))));
    for (; i < count; i++) floats[i] = _cvtsh_ss(halves[i]);
}

APUS_AVX2
static inline int32_t apus_dot_i16_i8_avx2(const int16_t *query, const int8_t *row, size_t count) {
    __m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i row0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + i)));
        __m256i row1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + i + 16)));
        sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(row0, _mm256_loadu_si256((const __m256i *)(query + i))));
        sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(row1, _mm256_loadu_si256((const __m256i *)(query + i + 16))));
    }
    int32_t sum = apus_sum_i32_avx2(_mm256_add_epi32(sum0, sum1));
    for (; i < count; i++) sum += (int32_t)query[i] * row[i];
    return sum;
}

APUS_AVX512
static inline int32_t apus_dot_i16_i8_avx512(const int16_t *query, const int8_t *row, size_t count) {
    __m512i sum0 = _mm512_setzero_si512(), sum1 = sum0;
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        __m512i row0 = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(row + i)));
        __m512i row1 = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(row + i + 32)));
        sum0 = _mm512_dpwssd_epi32(sum0, row0, _mm512_loadu_si512(query + i));
        sum1 = _mm512_dpwssd_epi32(sum1, row1, _mm512_loadu_si512(query + i + 32));
    }
    int32_t sum = _mm512_reduce_add_epi32(_mm512_add_epi32(sum0, sum1));
    for (; i < count; i++) sum += (int32_t)query[i] * row[i];
    return sum;
}

APUS_AVXVNNI
static inline int32_t apus_dot_i16_i8_avxvnni(const int16_t *query, const int8_t *row, size_t count) {
    __m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i row0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + i)));
        __m256i row1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + i + 16)));
        sum0 = _mm256_dpwssd_avx_epi32(sum0, row0, _mm256_loadu_si256((const __m256i *)(query + i)));
        sum1 = _mm256_dpwssd_avx_epi32(sum1, row1, _mm256_loadu_si256((const __m256i *)(query + i + 16)));
    }
    int32_t sum = apus_sum_i32_avx2(_mm256_add_epi32(sum0, sum1));
    for (; i < count; i++) sum += (int32_t)query[i] * row[i];
    return sum;
}

APUS_DOTS_I16_I8(apus_dots_i16_i8_avx2, APUS_AVX2, apus_dot_i16_i8_avx2)
APUS_DOTS_I16_I8(apus_dots_i16_i8_avx512, APUS_AVX512, apus_dot_i16_i8_avx512)
APUS_DOTS_I16_I8(apus_dots_i16_i8_avxvnni, APUS_AVXVNNI, apus_dot_i16_i8_avxvnni)

#elif defined(__aarch64__)

static inline int32_t apus_dot_i16_i8_neon(const int16_t *query, const int8_t *row, size_t count) {
    int32x4_t sum0 = vdupq_n_s32(0), sum1 = sum0;
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        int8x16_t codes = vld1q_s8(row + i);
        int16x8_t low = vmovl_s8(vget_low_s8(codes)), high = vmovl_s8(vget_high_s8(codes));
        int16x8_t first = vld1q_s16(query + i), second = vld1q_s16(query + i + 8);
        sum0 = vmlal_s16(sum0, vget_low_s16(low), vget_low_s16(first));
        sum1 = vmlal_s16(sum1, vget_high_s16(low), vget_high_s16(first));
        sum0 = vmlal_s16(sum0, vget_low_s16(high), vget_low_s16(second));
        sum1 = vmlal_s16(sum1, vget_high_s16(high), vget_high_s16(second));
    }
    int32_t sum = vaddvq_s32(vaddq_s32(sum0, sum1));
    for (; i < count; i++) sum += (int32_t)query[i] * row[i];
    return sum;
}

APUS_DOTS_I16_I8(apus_dots_i16_i8_neon, , apus_dot_i16_i8_neon)

#endif

#endif
