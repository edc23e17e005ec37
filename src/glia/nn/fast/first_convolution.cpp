// The convolution of an image with few channels, ReLU and the maximum over 2 x 2 pixels in one pass.
//
// The convolution's own output, four times what is left of it, never reaches memory: four pixels of 32 channels are held
// in registers. On the way back a weight's gradient takes the pixel of each window that was the largest.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using u16 = std::uint16_t;
using Place = std::uint8_t;
constexpr int LANES = 16, VECTORS = 2, GROUP = LANES * VECTORS;  // channels of the output that are computed together
constexpr int TAPS = 12;                                         // weights of a channel that are summed together

struct Shape {
  std::int64_t images, height, width, channels, outputs, tall, broad, down, right, top, left;
  std::int64_t padded_width() const { return width + 2 * left; }
  std::int64_t padded_size() const { return (height + 2 * top) * padded_width() * channels; }
  std::int64_t rows() const { return ((height + 2 * top - tall) / down + 1) / 2; }
  std::int64_t columns() const { return ((width + 2 * left - broad) / right + 1) / 2; }
  std::int64_t taps() const { return tall * broad * channels; }
  std::int64_t groups() const { return (outputs + GROUP - 1) / GROUP; }
  // Of each weight of a channel: how far from the window's first pixel its pixel lies.
  std::vector<std::int64_t> offsets() const {
    std::vector<std::int64_t> found;
    for (std::int64_t y = 0; y < tall; ++y)
      for (std::int64_t x = 0; x < broad; ++x)
        for (std::int64_t c = 0; c < channels; ++c) found.push_back((y * padded_width() + x) * channels + c);
    return found;
  }
  // Of the four pixels of a pooled one, in the order of `places`: upper left, lower left, upper right, lower right.
  void corners(std::int64_t (&found)[4]) const {
    const std::int64_t below = down * padded_width() * channels, beside = right * channels;
    found[0] = 0, found[1] = below, found[2] = beside, found[3] = below + beside;
  }
  std::int64_t corner(std::int64_t row, std::int64_t column) const {
    return (row * 2 * down * padded_width() + column * 2 * right) * channels;
  }
};

// One image (height, width, channels) with zeros around it, in memory whose border is zero already.
void pad(const Shape& s, const float* image, float* to) {
  for (std::int64_t y = 0; y < s.height; ++y)
    std::memcpy(to + ((y + s.top) * s.padded_width() + s.left) * s.channels, image + y * s.width * s.channels,
                s.width * s.channels * sizeof(float));
}

inline __mmask16 first(std::int64_t count) {
  return count >= LANES ? (__mmask16)0xffff : count <= 0 ? (__mmask16)0 : (__mmask16)((1u << count) - 1);
}

// The larger of two with its place; what is no number wins and stays.
inline void take(__m512& best, __m512i& place, __m512 other, int number) {
  const __mmask16 wins = _mm512_cmp_ps_mask(other, best, _CMP_NLE_UQ) & ~_mm512_cmp_ps_mask(best, best, _CMP_UNORD_Q);
  best = _mm512_mask_mov_ps(best, wins, other);
  place = _mm512_mask_mov_epi32(place, wins, _mm512_set1_epi32(number));
}

}  // namespace

// x (B, H, W, C), weights (tall, broad, C, O), bias (O); found and places (B, rows, columns, O), 4 where nothing passes.
extern "C" void first_forward(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C, std::int64_t O,
                              std::int64_t tall, std::int64_t broad, std::int64_t down, std::int64_t right,
                              std::int64_t top, std::int64_t left, int threads, const float* x, const float* weights,
                              const float* bias, u16* found, Place* places) {
  const Shape s{B, H, W, C, O, tall, broad, down, right, top, left};
  const std::int64_t taps = s.taps(), groups = s.groups(), rows = s.rows(), columns = s.columns();
  const std::vector<std::int64_t> offsets = s.offsets();
  std::vector<float> packed(groups * (taps + 1) * GROUP);  // of a group: bias, then its weights; zeros after the last
  for (std::int64_t o = 0; o < O; ++o) {
    float* to = packed.data() + o / GROUP * (taps + 1) * GROUP + o % GROUP;
    to[0] = bias ? bias[o] : 0.0f;
    for (std::int64_t t = 0; t < taps; ++t) to[(t + 1) * GROUP] = weights[t * O + o];
  }
  std::int64_t corner[4];
  s.corners(corner);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> image(s.padded_size());
#pragma omp for
    for (std::int64_t b = 0; b < B; ++b) {
      pad(s, x + b * H * W * C, image.data());
      for (std::int64_t pixel = 0; pixel < rows * columns; ++pixel) {
        const float* at = image.data() + s.corner(pixel / columns, pixel % columns);
        const float* const pixels[4] = {at + corner[0], at + corner[1], at + corner[2], at + corner[3]};
        for (std::int64_t group = 0; group < groups; ++group) {
          const std::int64_t* offset = offsets.data();
          const float* weight = packed.data() + group * (taps + 1) * GROUP;
          __m512 sum[4][VECTORS];
          for (int v = 0; v < VECTORS; ++v)
            for (int j = 0; j < 4; ++j) sum[j][v] = _mm512_loadu_ps(weight + v * LANES);
          for (std::int64_t t = 0; t < taps; ++t) {
            const std::int64_t apart = offset[t];
            weight += GROUP;
            __m512 w0 = _mm512_loadu_ps(weight), w1 = _mm512_loadu_ps(weight + LANES);
            asm("" : "+v"(w0), "+v"(w1));  // once into registers, not once per product: loads are what limits this loop
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) {
              const __m512 value = _mm512_set1_ps(pixels[j][apart]);
              sum[j][0] = _mm512_fmadd_ps(w0, value, sum[j][0]);
              sum[j][1] = _mm512_fmadd_ps(w1, value, sum[j][1]);
            }
          }
          for (int v = 0; v < VECTORS; ++v) {
            const std::int64_t channel = group * GROUP + v * LANES, to = (b * rows * columns + pixel) * O + channel;
            const __mmask16 there = first(O - channel);
            __m512 best = sum[0][v];
            __m512i place = _mm512_setzero_si512();
            for (int j = 1; j < 4; ++j) take(best, place, sum[j][v], j);
            const __mmask16 stopped = _mm512_cmp_ps_mask(best, _mm512_setzero_ps(), _CMP_LE_OQ);
            best = _mm512_mask_mov_ps(best, stopped, _mm512_setzero_ps());
            place = _mm512_mask_mov_epi32(place, stopped, _mm512_set1_epi32(4));
            _mm256_mask_storeu_epi16(found + to, there, (__m256i)_mm512_cvtneps_pbh(best));
            _mm_mask_storeu_epi8(places + to, there, _mm512_cvtepi32_epi8(place));
          }
        }
      }
    }
  }
}

// The gradients of the weights, (tall, broad, C, O), and the bias, (O), from that of what was found.
extern "C" void first_backward(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C, std::int64_t O,
                               std::int64_t tall, std::int64_t broad, std::int64_t down, std::int64_t right,
                               std::int64_t top, std::int64_t left, int threads, const float* x, const u16* gradient,
                               const Place* places, float* d_weights, float* d_bias) {
  const Shape s{B, H, W, C, O, tall, broad, down, right, top, left};
  const std::int64_t taps = s.taps(), groups = s.groups(), rows = s.rows(), columns = s.columns();
  const std::int64_t each = groups * GROUP * (taps + 1);
  std::vector<std::int64_t> offsets = s.offsets();
  offsets.resize((taps + TAPS - 1) / TAPS * TAPS, 0);  // the last ones' sums are not looked at
  std::vector<float> sums((std::size_t)threads * each);
  std::int64_t corner[4];
  s.corners(corner);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> image(s.padded_size());
#pragma omp for schedule(static, 1)
    for (int number = 0; number < threads; ++number) {
      float* own = sums.data() + (std::size_t)number * each;
      for (std::int64_t b = B * number / threads; b < B * (number + 1) / threads; ++b) {
        pad(s, x + b * H * W * C, image.data());
        for (std::int64_t group = 0; group < groups; ++group)
          for (std::int64_t from = 0; from < taps; from += TAPS) {
            __m512 sum[TAPS][VECTORS], total[VECTORS];
            const std::int64_t* offset = offsets.data() + from;
            for (int v = 0; v < VECTORS; ++v) {
              total[v] = _mm512_setzero_ps();
              for (int t = 0; t < TAPS; ++t) sum[t][v] = _mm512_setzero_ps();
            }
            for (std::int64_t pixel = 0; pixel < rows * columns; ++pixel) {
              const float* at = image.data() + s.corner(pixel / columns, pixel % columns);
              __m512 value[VECTORS];
              __m512i place[VECTORS];
              for (int v = 0; v < VECTORS; ++v) {
                const std::int64_t channel = group * GROUP + v * LANES, to = (b * rows * columns + pixel) * O + channel;
                const __mmask16 there = first(O - channel);
                value[v] = _mm512_castsi512_ps(
                    _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, gradient + to)), 16));
                place[v] = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(there, places + to));
                const __mmask16 passed = _mm512_cmplt_epi32_mask(place[v], _mm512_set1_epi32(4));
                total[v] = _mm512_mask_add_ps(total[v], passed, total[v], value[v]);
              }
              for (int j = 0; j < 4; ++j) {
                __m512 part[VECTORS];
                for (int v = 0; v < VECTORS; ++v)
                  part[v] = _mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(place[v], _mm512_set1_epi32(j)), value[v]);
                const float* pixels = at + corner[j];
#pragma GCC unroll 12
                for (int t = 0; t < TAPS; ++t) {
                  const __m512 seen = _mm512_set1_ps(pixels[offset[t]]);
#pragma GCC unroll 2
                  for (int v = 0; v < VECTORS; ++v) sum[t][v] = _mm512_fmadd_ps(part[v], seen, sum[t][v]);
                }
              }
            }
            for (int v = 0; v < VECTORS; ++v) {
              float* to = own + group * GROUP * (taps + 1) + v * LANES;
              if (!from) _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), total[v]));
              for (std::int64_t t = from; t < taps && t < from + TAPS; ++t) {
                float* at = to + (t + 1) * GROUP;
                _mm512_storeu_ps(at, _mm512_add_ps(_mm512_loadu_ps(at), sum[t - from][v]));
              }
            }
          }
      }
    }
  }
  for (std::int64_t t = 0; t <= taps; ++t)
    for (std::int64_t o = 0; o < O; ++o) {
      float sum = 0.0f;
      for (int number = 0; number < threads; ++number)
        sum += sums[(std::size_t)number * each + (o / GROUP * (taps + 1) + t) * GROUP + o % GROUP];
      (t ? d_weights[(t - 1) * O + o] : d_bias[o]) = sum;
    }
}
