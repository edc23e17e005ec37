// Forward and backward pass of K stacks of dense layers, each from end to end on one thread, in its caches.
//
// Members are shared out among the threads; where there are fewer members than threads, rows of a member are as well.
// All values lie as (K, features, B), rows side by side, so that products take 16 rows at once; B is a multiple of 16.
// Activations, their slopes and dropout are done to the tile of a product that was just computed.

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

namespace {

using i64 = std::int64_t;
constexpr int LANES = 16, ROWS = 6, VECTORS = 4, WIDE = LANES * VECTORS;

inline __mmask16 first(i64 count) { return count >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1); }

// What is multiplied: number (i, t) of the left is at left[i * across + t * along], row t of the right at t * apart.
struct Factors {
  const float* left;
  i64 across, along;
  const float* right;
  i64 apart, depth;
};

// ROWS × (VECTORS · 16) sums of up to two products, written to `tile`, (ROWS, WIDE); `last` are lanes of the last vector.
template <int R, int V>
void multiply(const Factors* factors, int parts, __mmask16 last, float* tile) {
  __m512 sum[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = _mm512_setzero_ps();
  for (int part = 0; part < parts; ++part) {
    const float *left = factors[part].left, *right = factors[part].right;
    const i64 across = factors[part].across, along = factors[part].along, apart = factors[part].apart;
    for (i64 t = factors[part].depth; t > 0; --t, left += along, right += apart) {
      __m512 column[V];
#pragma GCC unroll 4
      for (int v = 0; v < V - 1; ++v) column[v] = _mm512_loadu_ps(right + v * LANES);
      column[V - 1] = _mm512_maskz_loadu_ps(last, right + (V - 1) * LANES);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) asm("" : "+v"(column[v]));  // into a register once, not again for each product
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const __m512 value = _mm512_set1_ps(left[r * across]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[r][v] = _mm512_fmadd_ps(value, column[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(tile + r * WIDE + v * LANES, sum[r][v]);
}

using Multiply = decltype(&multiply<1, 1>);
template <int R>
constexpr Multiply BY_VECTORS[VECTORS] = {multiply<R, 1>, multiply<R, 2>, multiply<R, 3>, multiply<R, 4>};
const Multiply* const MULTIPLY[ROWS] = {BY_VECTORS<1>, BY_VECTORS<2>, BY_VECTORS<3>,
                                        BY_VECTORS<4>, BY_VECTORS<5>, BY_VECTORS<6>};

// All tiles of a product of `rows` × `columns`: `done(row, column, lanes, sums)` gets 16 columns of a row at a time.
template <class Done>
void product(i64 rows, i64 columns, const Factors* factors, int parts, Done done) {
  alignas(64) float tile[ROWS * WIDE];
  const i64 tiles = (rows + ROWS - 1) / ROWS;
  for (i64 column = 0; column < columns; column += WIDE) {
    const i64 width = std::min<i64>(WIDE, columns - column), vectors = (width + LANES - 1) / LANES;
    const __mmask16 last = first(width - (vectors - 1) * LANES);
    for (i64 i = 0; i < tiles; ++i) {
      const i64 row = rows * i / tiles, count = rows * (i + 1) / tiles - row;
      Factors here[2];
      for (int part = 0; part < parts; ++part) {
        here[part] = factors[part];
        here[part].left += row * here[part].across;
        here[part].right += column;
      }
      MULTIPLY[count - 1][vectors - 1](here, parts, last, tile);
      for (i64 r = 0; r < count; ++r)
        for (i64 v = 0; v < vectors; ++v)
          done(row + r, column + v * LANES, v + 1 < vectors ? (__mmask16)0xffff : last,
               _mm512_load_ps(tile + r * WIDE + v * LANES));
    }
  }
}

// 16 × 16 numbers: rows become columns.
void turn(__m512 (&x)[LANES]) {
  __m512 y[LANES];
  for (int i = 0; i < LANES; i += 2) {
    y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
  }
  for (int i = 0; i < LANES; i += 4)
    for (int j = 0; j < 2; ++j) {
      const __m512d one = _mm512_castps_pd(y[i + j]), other = _mm512_castps_pd(y[i + j + 2]);
      x[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(one, other));
      x[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(one, other));
    }
  for (int i = 0; i < LANES; i += 8)
    for (int j = 0; j < 4; ++j) {
      y[i + j] = _mm512_shuffle_f32x4(x[i + j], x[i + j + 4], 0x88);
      y[i + j + 4] = _mm512_shuffle_f32x4(x[i + j], x[i + j + 4], 0xdd);
    }
  for (int j = 0; j < 8; ++j) {
    x[j] = _mm512_shuffle_f32x4(y[j], y[j + 8], 0x88);
    x[j + 8] = _mm512_shuffle_f32x4(y[j], y[j + 8], 0xdd);
  }
}

// (rows, columns) → (columns, padded rows): zeros fill a line of the result up to a multiple of 16.
void transpose(const float* from, i64 rows, i64 columns, i64 apart, float* to, i64 to_apart) {
  for (i64 c = 0; c < columns; c += LANES)
    for (i64 r = 0; r < rows; r += LANES) {
      __m512 block[LANES];
      const __mmask16 lanes = first(columns - c);
      for (int i = 0; i < LANES; ++i)
        block[i] = r + i < rows ? _mm512_maskz_loadu_ps(lanes, from + (r + i) * apart + c) : _mm512_setzero_ps();
      turn(block);
      const int count = (int)std::min<i64>(LANES, columns - c);
      for (int i = 0; i < count; ++i) _mm512_storeu_ps(to + (c + i) * to_apart + r, block[i]);
    }
}

inline __m512 reciprocal(__m512 x) {
  const __m512 guess = _mm512_rcp14_ps(x);
  return _mm512_mul_ps(guess, _mm512_fnmadd_ps(x, guess, _mm512_set1_ps(2.0f)));
}

// 1 / (1 + exp(-x)), relative error 3e-7. Of two operands of which one is no number, min and max return the second.
inline __m512 sigmoid(__m512 x) {
  const __m512 given = _mm512_mul_ps(x, _mm512_set1_ps(-1.44269504f));
  const __m512 power =
      _mm512_max_ps(_mm512_set1_ps(-126.0f), _mm512_min_ps(_mm512_set1_ps(126.0f), given));
  const __m512 whole = _mm512_roundscale_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 part = _mm512_sub_ps(power, whole);
  __m512 y = _mm512_set1_ps(1.5403530e-4f);  // 2 to the power of part, by its series
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(1.3333558e-3f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(9.6181291e-3f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(5.5504109e-2f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(2.4022651e-1f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(6.9314718e-1f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(1.0f));
  return reciprocal(_mm512_add_ps(_mm512_scalef_ps(y, whole), _mm512_set1_ps(1.0f)));
}

inline std::uint64_t mixed(std::uint64_t& state) {  // splitmix64
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

// Eight generators xoroshiro128+ side by side: 16 words of 32 bits at a time.
struct Random {
  __m512i a, b;
  Random(std::uint64_t seed, std::uint64_t member, std::uint64_t place) {
    alignas(64) std::uint64_t words[2 * 8];
    std::uint64_t state = seed;
    state = mixed(state) ^ member;
    state = mixed(state) ^ place;
    for (auto& word : words) word = mixed(state);
    a = _mm512_load_si512(words);
    b = _mm512_load_si512(words + 8);
  }
  __m512i next() {
    const __m512i found = _mm512_add_epi64(a, b);
    b = _mm512_xor_si512(a, b);
    a = _mm512_xor_si512(_mm512_xor_si512(_mm512_rol_epi64(a, 24), b), _mm512_slli_epi64(b, 16));
    b = _mm512_rol_epi64(b, 37);
    return found;
  }
};

enum Activation : i64 { IDENTITY, RELU, SILU };

// As ``dense_kernel.py`` writes it: a layer of all members. Of `h` and `slope` the member's rows are (outputs, B).
struct Layer {
  i64 inputs, outputs, activation;
  const float *weight, *bias;
  float *h, *slope, *d, *d_weight, *d_bias;
  const std::uint32_t* dropped;  // of each member: words below are dropped; null without dropout
  const float* scale;            // of each member: what is kept is multiplied by it

  bool keeps_slope() const { return activation == SILU || (activation == IDENTITY && dropped); }
  __m512 slope_at(i64 member, i64 at) const {
    if (keeps_slope()) return _mm512_loadu_ps(slope + at);
    if (activation == IDENTITY) return _mm512_set1_ps(1.0f);
    const __mmask16 on = _mm512_cmp_ps_mask(_mm512_loadu_ps(h + at), _mm512_setzero_ps(), _CMP_NLE_UQ);
    return _mm512_maskz_mov_ps(on, _mm512_set1_ps(dropped ? scale[member] : 1.0f));
  }
};

// Rows of a batch come in slices of WIDE; each has random numbers of its own, whichever thread computes it.
struct Task {
  i64 member, start, end;
  // Task `number` of all: as many parts of each of K members as there are threads for it.
  Task(i64 number, i64 K, i64 B, i64 parts) : member(number / parts) {
    const i64 slices = (B + WIDE - 1) / WIDE, part = number % parts;
    start = slices * part / parts * WIDE;
    end = std::min(B, slices * (part + 1) / parts * WIDE);
  }
};

void forward(const Layer& layer, i64 number, const Task& task, i64 B, std::uint64_t seed, const Factors* factors,
             int parts) {
  const i64 member = task.member, place = member * layer.outputs * B;
  const float* bias = layer.bias ? layer.bias + member * layer.outputs : nullptr;
  const __m512i bound = _mm512_set1_epi32(layer.dropped ? (int)layer.dropped[member] : 0);
  const __m512 scale = _mm512_set1_ps(layer.dropped ? layer.scale[member] : 1.0f), one = _mm512_set1_ps(1.0f);
  for (i64 slice = task.start; slice < task.end; slice += WIDE) {
    Random random(seed, member, number << 32 | slice);
    Factors here[2];
    for (int part = 0; part < parts; ++part) here[part] = factors[part], here[part].right += slice;
    product(layer.outputs, std::min<i64>(WIDE, task.end - slice), here, parts,
            [&](i64 row, i64 column, __mmask16, __m512 sum) {
      const i64 at = place + row * B + slice + column;
      __m512 h = bias ? _mm512_add_ps(sum, _mm512_set1_ps(bias[row])) : sum, slope = one;
      if (layer.activation == RELU) h = _mm512_max_ps(_mm512_setzero_ps(), h);  // the second if that is no number
      if (layer.activation == SILU) {
        const __m512 share = sigmoid(h);
        h = _mm512_mul_ps(h, share);
        slope = _mm512_fmadd_ps(h, _mm512_sub_ps(one, share), share);
      }
      if (layer.dropped) {
        const __mmask16 kept = _mm512_cmpge_epu32_mask(random.next(), bound);
        h = _mm512_maskz_mul_ps(kept, h, scale);
        slope = _mm512_maskz_mul_ps(kept, slope, scale);
      }
      _mm512_storeu_ps(layer.h + at, h);
      if (layer.keeps_slope()) _mm512_storeu_ps(layer.slope + at, slope);
    });
  }
}

inline i64 padded(i64 count) { return (count + LANES - 1) / LANES * LANES; }

// How many parts the rows of each member come in.
inline i64 parts_of(i64 K, i64 B, int threads) {
  return std::max<i64>(1, std::min<i64>((threads + K - 1) / K, (B + WIDE - 1) / WIDE));
}

// The gradients of a layer's weights and biases that a task writes: those of its member, or of its part of the rows.
struct Gradients {
  float *weight, *bias;
};

}  // namespace

// x (B, S) for all members or null, own (K, B, E) or null; `scratch` holds S · B numbers, then E · B for each thread.
extern "C" void dense_forward(i64 K, i64 B, i64 S, i64 E, i64 count, int threads, const Layer* layers, const i64* seed,
                              const float* x, const float* own, float* scratch) {
  const i64 parts = parts_of(K, B, threads), tasks = K * parts;
#pragma omp parallel num_threads(threads)
  {
#pragma omp for
    for (i64 column = 0; column < S; column += LANES)
      transpose(x + column, B, std::min<i64>(LANES, S - column), S, scratch + column * B, B);
#pragma omp for schedule(static)
    for (i64 thread = 0; thread < threads; ++thread) {
      float* turned = scratch + S * B + thread * E * B;
      for (i64 number = tasks * thread / threads; number < tasks * (thread + 1) / threads; ++number) {
        const Task task(number, K, B, parts);
        for (i64 i = 0; i < count; ++i) {
          const Layer& layer = layers[i];
          const float* weight = layer.weight + task.member * layer.outputs * layer.inputs;
          Factors factors[2];
          int given = 0;
          if (i) {
            const float* below = layers[i - 1].h + task.member * layer.inputs * B;
            factors[given++] = {weight, layer.inputs, 1, below, B, layer.inputs};
          } else {
            if (S) factors[given++] = {weight, layer.inputs, 1, scratch, B, S};
            if (E) {
              transpose(own + (task.member * B + task.start) * E, task.end - task.start, E, E, turned + task.start, B);
              factors[given++] = {weight + S, layer.inputs, 1, turned, B, E};
            }
          }
          forward(layer, i, task, B, (std::uint64_t)*seed, factors, given);
        }
      }
    }
  }
}

// The last layer's `d` holds the gradient of its outputs. `scratch` holds B · (most inputs, padded) for each thread, and
// where members' rows come in parts the gradients of each part: of every layer its weights, then its biases.
extern "C" void dense_backward(i64 K, i64 B, i64 S, i64 E, i64 count, int threads, const Layer* layers, const float* x,
                               const float* own, float* d_own, float* scratch) {
  const i64 parts = parts_of(K, B, threads), tasks = K * parts;
  i64 most = 0, each = 0;
  for (i64 i = 0; i < count; ++i) {
    if (i) most = std::max(most, padded(layers[i].inputs));
    each += (layers[i].inputs + 1) * layers[i].outputs;
  }
  float* sums = scratch + threads * most * B;
  // `done` counts the numbers of the layers below this one.
  const auto gradients = [&](const Layer& layer, i64 number, i64 done) -> Gradients {
    const i64 size = layer.inputs * layer.outputs, member = number / parts;
    if (parts > 1) {
      float* at = sums + number * each + done;
      return {layer.d_weight ? at : nullptr, layer.d_bias ? at + size : nullptr};
    }
    return {layer.d_weight ? layer.d_weight + member * size : nullptr,
            layer.d_bias ? layer.d_bias + member * layer.outputs : nullptr};
  };
  const auto keep = [](float* to, i64 apart) {
    return [=](i64 row, i64 column, __mmask16 lanes, __m512 sum) {
      _mm512_mask_storeu_ps(to + row * apart + column, lanes, sum);
    };
  };
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (i64 thread = 0; thread < threads; ++thread) {
      float* turned = scratch + thread * most * B;
      for (i64 number = tasks * thread / threads; number < tasks * (thread + 1) / threads; ++number) {
        const Task task(number, K, B, parts);
        const i64 member = task.member, start = task.start, rows = task.end - task.start;
        i64 done = each;
        for (i64 i = count - 1; i >= 0; --i) {
          const Layer& layer = layers[i];
          const i64 inputs = layer.inputs, outputs = layer.outputs;
          done -= (inputs + 1) * outputs;
          const float* weight = layer.weight + member * outputs * inputs;
          float* d = layer.d + member * outputs * B + start;  // (outputs, rows), B apart
          const Gradients to = gradients(layer, number, done);
          for (i64 row = 0; row < outputs; ++row) {
            __m512 sum = _mm512_setzero_ps();
            for (i64 b = row * B; b < row * B + rows; b += LANES) {
              if (i == count - 1 && (layer.activation != IDENTITY || layer.dropped))
                _mm512_storeu_ps(d + b, _mm512_mul_ps(_mm512_loadu_ps(d + b),
                                                      layer.slope_at(member, member * outputs * B + start + b)));
              sum = _mm512_add_ps(sum, _mm512_loadu_ps(d + b));
            }
            if (to.bias) to.bias[row] = _mm512_reduce_add_ps(sum);
          }
          if (i) {
            const Layer& below = layers[i - 1];
            const i64 place = member * inputs * B + start, wide = padded(inputs);
            if (to.weight) {
              transpose(below.h + place, inputs, rows, B, turned, wide);
              const Factors factors{d, B, 1, turned, wide, rows};
              product(outputs, inputs, &factors, 1, keep(to.weight, inputs));
            }
            const Factors factors{weight, 1, inputs, d, B, outputs};
            product(inputs, rows, &factors, 1, [&](i64 row, i64 column, __mmask16, __m512 sum) {
              const i64 at = place + row * B + column;
              _mm512_storeu_ps(below.d + at, _mm512_mul_ps(sum, below.slope_at(member, at)));
            });
            continue;
          }
          if (to.weight && S) {
            const Factors factors{d, B, 1, x + start * S, S, rows};
            product(outputs, S, &factors, 1, keep(to.weight, inputs));
          }
          if (to.weight && E) {
            const Factors factors{d, B, 1, own + (member * B + start) * E, E, rows};
            product(outputs, E, &factors, 1, keep(to.weight + S, inputs));
          }
          if (d_own && E) {
            const Factors factors{d, 1, B, weight + S, inputs, outputs};
            product(rows, E, &factors, 1, keep(d_own + (member * B + start) * E, E));
          }
        }
      }
    }
    if (parts > 1) {
      const auto add_up = [&](const float* from, float* to, i64 size) {
#pragma omp for nowait
        for (i64 j = 0; j < size; j += LANES) {
          const __mmask16 lanes = first(size - j);
          __m512 sum = _mm512_maskz_loadu_ps(lanes, from + j);
          for (i64 part = 1; part < parts; ++part)
            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes, from + part * each + j));
          _mm512_mask_storeu_ps(to + j, lanes, sum);
        }
      };
      i64 done = 0;
      for (i64 i = 0; i < count; ++i) {
        const Layer& layer = layers[i];
        const i64 size = layer.inputs * layer.outputs;
        for (i64 member = 0; member < K; ++member) {
          const float* from = sums + member * parts * each + done;
          if (layer.d_weight) add_up(from, layer.d_weight + member * size, size);
          if (layer.d_bias) add_up(from + size, layer.d_bias + member * layer.outputs, layer.outputs);
        }
        done += size + layer.outputs;
      }
    }
  }
}
