// One LSTM layer over whole sequences: products by AVX-512's bfloat16 instructions, gates while they are in registers.
//
// Each thread takes rows of the batch of its own, which no other needs, and walks through all steps: nobody waits in
// between. Weights are packed once per call so that the four gates of 16 units lie beside each other.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using u16 = std::uint16_t;
constexpr int LANES = 16;  // units per vector
constexpr int TILE = 6;    // rows per tile: 24 accumulators of four gates

inline __m512 widen(const u16* from) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)from)), 16));
}

inline void narrow(u16* to, __m512 x) { _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_cvtneps_pbh(x)); }

// 2 to the power of x, relative error 3e-6: a polynomial on [-0.5, 0.5] and the exponent set directly. Of two operands
// of which one is no number, min and max return the second: that is x.
inline __m512 power_of_two(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-126.0f), _mm512_min_ps(_mm512_set1_ps(126.0f), x));
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 part = _mm512_sub_ps(x, whole);
  __m512 y = _mm512_set1_ps(1.3333558e-3f);
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(9.6181291e-3f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(5.5504109e-2f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(2.4022651e-1f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(6.9314718e-1f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(y, whole);
}

inline __m512 reciprocal(__m512 x) {
  const __m512 guess = _mm512_rcp14_ps(x);
  return _mm512_mul_ps(guess, _mm512_fnmadd_ps(x, guess, _mm512_set1_ps(2.0f)));
}

// 1 / (1 + exp(-x))
inline __m512 sigmoid(__m512 x) {
  const __m512 y = power_of_two(_mm512_mul_ps(x, _mm512_set1_ps(-1.44269504f)));
  return reciprocal(_mm512_add_ps(y, _mm512_set1_ps(1.0f)));
}

inline __m512 hyperbolic(__m512 x) {
  return _mm512_fmadd_ps(sigmoid(_mm512_add_ps(x, x)), _mm512_set1_ps(2.0f), _mm512_set1_ps(-1.0f));
}

inline __m512bh pair(const u16* row, std::size_t k) {
  std::int32_t both;
  std::memcpy(&both, row + 2 * k, 4);
  return (__m512bh)_mm512_set1_epi32(both);
}

// ROWS × (VECTORS · 16) += rows of `left` (pairs of bfloat16, `stride` apart) times packed columns.
template <int ROWS, int VECTORS>
inline void multiply(__m512 (&sum)[ROWS][VECTORS], const u16* left, std::size_t stride, const u16* packed,
                     std::size_t pairs) {
  for (std::size_t k = 0; k < pairs; ++k) {
    __m512bh column[VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) column[v] = (__m512bh)_mm512_loadu_si512(packed + (k * VECTORS + v) * 32);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      const __m512bh both = pair(left + r * stride, k);
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], column[v], both);
    }
  }
}

struct Layer {
  std::size_t steps, batch, inputs, units;  // inputs even, units a multiple of 16
  bool reverse;
  std::size_t time(std::size_t step) const { return reverse ? steps - 1 - step : step; }
};

inline u16 low(float x) {
  return (u16)_mm_extract_epi16((__m128i)_mm_cvtneps_pbh(_mm_set_ss(x)), 0);
}

// The gates of ROWS rows and 16 units, and the states that follow from them.
template <int ROWS>
void gates_of(const Layer& layer, const u16* x, const u16* state, const u16* packed, const float* bias, u16* gates,
              const float* before, float* cell, u16* output, std::size_t unit) {
  const std::size_t H = layer.units, pairs_in = layer.inputs / 2, pairs_state = H / 2;
  __m512 sum[ROWS][4];  // loops over it are unrolled by order: it must not lie in memory
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) {
    const __m512 b = _mm512_loadu_ps(bias + v * H + unit);
#pragma GCC unroll 6
    for (int r = 0; r < ROWS; ++r) sum[r][v] = b;
  }
  multiply<ROWS, 4>(sum, x, layer.inputs, packed, pairs_in);
  if (state) multiply<ROWS, 4>(sum, state, H, packed + pairs_in * 4 * 32, pairs_state);
#pragma GCC unroll 6
  for (int r = 0; r < ROWS; ++r) {
    const __m512 i = sigmoid(sum[r][0]), f = sigmoid(sum[r][1]), g = hyperbolic(sum[r][2]), o = sigmoid(sum[r][3]);
    const __m512 kept = before ? _mm512_mul_ps(f, _mm512_loadu_ps(before + r * H + unit)) : _mm512_setzero_ps();
    const __m512 c = _mm512_fmadd_ps(i, g, kept);
    u16* own = gates + r * 4 * H + unit;
    narrow(own, i);
    narrow(own + H, f);
    narrow(own + 2 * H, g);
    narrow(own + 3 * H, o);
    _mm512_storeu_ps(cell + r * H + unit, c);
    narrow(output + r * H + unit, _mm512_mul_ps(o, hyperbolic(c)));
  }
}

using GatesOf = decltype(&gates_of<1>);
const GatesOf GATES_OF[] = {gates_of<1>, gates_of<2>, gates_of<3>, gates_of<4>, gates_of<5>, gates_of<6>};

// The states' gradient: (rows, 4 H) of gates times (4 H, H), 16 · VECTORS units at once.
template <int ROWS, int VECTORS>
void state_gradient(const u16* gates, const u16* packed, float* found, std::size_t H) {
  __m512 sum[ROWS][VECTORS];
#pragma GCC unroll 6
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) sum[r][v] = _mm512_setzero_ps();
  multiply<ROWS, VECTORS>(sum, gates, 4 * H, packed, 2 * H);
#pragma GCC unroll 6
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) _mm512_storeu_ps(found + r * H + v * LANES, sum[r][v]);
}

template <int VECTORS>
void state_gradients(std::size_t rows, const u16* gates, const u16* packed, float* found, std::size_t H) {
  switch (rows) {
    case 1: return state_gradient<1, VECTORS>(gates, packed, found, H);
    case 2: return state_gradient<2, VECTORS>(gates, packed, found, H);
    case 3: return state_gradient<3, VECTORS>(gates, packed, found, H);
    case 4: return state_gradient<4, VECTORS>(gates, packed, found, H);
    case 5: return state_gradient<5, VECTORS>(gates, packed, found, H);
    default: return state_gradient<6, VECTORS>(gates, packed, found, H);
  }
}

// Rows of a part's tiles: as equal as possible, at most TILE.
struct Part {
  std::size_t first, end;
  Part(std::size_t batch, int number, int parts) : first(batch * number / parts), end(batch * (number + 1) / parts) {}
  template <class Work>
  void tiles(Work work) const {
    const std::size_t rows = end - first, count = (rows + TILE - 1) / TILE;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t from = first + rows * i / count, to = first + rows * (i + 1) / count;
      work(from, to - from);
    }
  }
};

}  // namespace

// x (T, B, I), weights (4 H, I) and (4 H, H), biases (4 H) each; gates (T, B, 4 H), cells (T, B, H), output (T, B, H).
extern "C" void lstm_forward(std::int64_t T, std::int64_t B, std::int64_t I, std::int64_t H, int reverse, int threads,
                             const u16* x, const float* w_in, const float* w_state, const float* b_in,
                             const float* b_state, u16* gates, float* cells, u16* output) {
  const Layer layer{(std::size_t)T, (std::size_t)B, (std::size_t)I, (std::size_t)H, reverse != 0};
  const std::size_t block = (I + H) / 2 * 4 * 32;  // numbers of one packed group of 16 units
  std::vector<u16> packed(H / LANES * block);
  std::vector<float> bias(4 * H);
  for (std::int64_t j = 0; j < 4 * H; ++j) bias[j] = b_in[j] + b_state[j];
#pragma omp parallel num_threads(threads)
  {
#pragma omp for collapse(2)
    for (std::int64_t group = 0; group < H / LANES; ++group)
      for (std::int64_t row = 0; row < 4 * LANES; ++row) {
        const std::int64_t gate = row / LANES, unit = row % LANES, at = gate * H + group * LANES + unit;
        u16* to = packed.data() + group * block + gate * 32 + unit * 2;
        for (std::int64_t k = 0; k < I; ++k) to[k / 2 * 128 + k % 2] = low(w_in[at * I + k]);
        to += I / 2 * 128;
        for (std::int64_t k = 0; k < H; ++k) to[k / 2 * 128 + k % 2] = low(w_state[at * H + k]);
      }
#pragma omp for schedule(static, 1)
    for (int number = 0; number < threads; ++number) {
      const Part part(B, number, threads);
      for (std::int64_t step = 0; step < T; ++step) {
        const std::size_t t = layer.time(step), last = step ? layer.time(step - 1) : 0;
        for (std::int64_t group = 0; group < H / LANES; ++group)
          part.tiles([&](std::size_t row, std::size_t rows) {
            const std::size_t at = t * B + row, from = last * B + row;
            GATES_OF[rows - 1](layer, x + at * I, step ? output + from * H : nullptr, packed.data() + group * block,
                               bias.data(), gates + at * 4 * H, step ? cells + from * H : nullptr, cells + at * H,
                               output + at * H, group * LANES);
          });
      }
    }
  }
}

// From d_output (T, B, H), with strides of its own, and d_h and d_c, (B, H), of the last states: the gradients of the
// gates before they were squashed, (T, B, 4 H), and of the biases, (4 H).
extern "C" void lstm_backward(std::int64_t T, std::int64_t B, std::int64_t H, int reverse, int threads,
                              const float* w_state, const float* cells, const u16* d_output, std::int64_t by_time,
                              std::int64_t by_row, const u16* d_h, const u16* d_c, const u16* gates, u16* d_gates, float* d_bias) {
  const Layer layer{(std::size_t)T, (std::size_t)B, 0, (std::size_t)H, reverse != 0};
  const std::int64_t groups = H / LANES, wide = groups / 4 * 4;
  std::vector<u16> packed(4 * H * H);
  std::vector<float> carried(2 * B * H), bias((std::size_t)threads * 4 * H);
  float *d_state = carried.data(), *d_cell = d_state + B * H;
#pragma omp parallel num_threads(threads)
  {
#pragma omp for
    for (std::int64_t group = 0; group < groups; ++group) {  // four vectors of units beside each other, then what is left
      const std::int64_t vectors = group < wide ? 4 : groups - wide, first = group < wide ? group / 4 * 4 : wide;
      u16* to = packed.data() + first * LANES * 4 * H + (group - first) * 32;
      for (std::int64_t k = 0; k < 4 * H; ++k)
        for (std::int64_t unit = 0; unit < LANES; ++unit)
          to[k / 2 * vectors * 32 + unit * 2 + k % 2] = low(w_state[k * H + group * LANES + unit]);
    }
#pragma omp for schedule(static, 1)
    for (int number = 0; number < threads; ++number) {
      const Part part(B, number, threads);
      float* own_bias = bias.data() + (std::size_t)number * 4 * H;
      for (std::size_t i = part.first * H; i < part.end * H; i += LANES) {
        _mm512_storeu_ps(d_state + i, widen(d_h + i));
        _mm512_storeu_ps(d_cell + i, widen(d_c + i));
      }
      const __m512 one = _mm512_set1_ps(1.0f);
      for (std::int64_t step = T - 1; step >= 0; --step) {
        const std::size_t t = layer.time(step), last = step ? layer.time(step - 1) : 0;
        for (std::size_t row = part.first; row < part.end; ++row) {
          const u16* own = gates + (t * B + row) * 4 * H;
          u16* found = d_gates + (t * B + row) * 4 * H;
          for (std::int64_t unit = 0; unit < H; unit += LANES) {
            const std::size_t at = row * H + unit;
            const __m512 i = widen(own + unit), f = widen(own + H + unit), g = widen(own + 2 * H + unit),
                         o = widen(own + 3 * H + unit);
            const __m512 squashed = hyperbolic(_mm512_loadu_ps(cells + (t * B + row) * H + unit));
            const __m512 dh = _mm512_add_ps(_mm512_loadu_ps(d_state + at),
                                            widen(d_output + t * by_time + row * by_row + unit));
            const __m512 through = _mm512_fnmadd_ps(squashed, squashed, one);
            const __m512 dc = _mm512_fmadd_ps(_mm512_mul_ps(dh, o), through, _mm512_loadu_ps(d_cell + at));
            const __m512 before =
                step ? _mm512_loadu_ps(cells + (last * B + row) * H + unit) : _mm512_setzero_ps();
            const __m512 di = _mm512_mul_ps(_mm512_mul_ps(dc, g), _mm512_fnmadd_ps(i, i, i));
            const __m512 df = _mm512_mul_ps(_mm512_mul_ps(dc, before), _mm512_fnmadd_ps(f, f, f));
            const __m512 dg = _mm512_mul_ps(_mm512_mul_ps(dc, i), _mm512_fnmadd_ps(g, g, one));
            const __m512 dO = _mm512_mul_ps(_mm512_mul_ps(dh, squashed), _mm512_fnmadd_ps(o, o, o));
            _mm512_storeu_ps(d_cell + at, _mm512_mul_ps(dc, f));
            const __m512 all[4] = {di, df, dg, dO};
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) {
              narrow(found + v * H + unit, all[v]);
              float* sum = own_bias + v * H + unit;
              _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), all[v]));
            }
          }
        }
        if (!step) break;
        for (std::int64_t group = 0; group < groups; group += 4) {
          const int vectors = group < wide ? 4 : (int)(groups - wide);
          const u16* columns = packed.data() + group * LANES * 4 * H;
          part.tiles([&](std::size_t row, std::size_t rows) {
            const u16* own = d_gates + (t * B + row) * 4 * H;
            float* found = d_state + row * H + group * LANES;
            switch (vectors) {
              case 1: return state_gradients<1>(rows, own, columns, found, H);
              case 2: return state_gradients<2>(rows, own, columns, found, H);
              case 3: return state_gradients<3>(rows, own, columns, found, H);
              default: return state_gradients<4>(rows, own, columns, found, H);
            }
          });
        }
      }
    }
#pragma omp for
    for (std::int64_t j = 0; j < 4 * H; ++j) {
      float sum = 0.0f;
      for (int number = 0; number < threads; ++number) sum += bias[(std::size_t)number * 4 * H + j];
      d_bias[j] = sum;
    }
  }
}
