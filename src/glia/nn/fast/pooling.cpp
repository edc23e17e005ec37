// The maximum over 2 x 2 pixels side by side, of bfloat16 in channels-last memory, with ReLU in the same pass or without.
//
// Comparisons are those of integers: a bfloat16's bits, all but the sign flipped where it is set, are ordered as the
// numbers are. What is no number is made the largest of all first, so that it is seen in the result.

#include <cstdint>

namespace {

using Bits = std::int16_t;
using Place = std::uint8_t;
constexpr Place NOWHERE = 4;  // no pixel of the window gets the gradient

inline Bits ordered(Bits x) {
  const Bits flipped = (Bits)(x ^ ((x >> 15) & 0x7fff));
  return (Bits)(x & 0x7fff) > 0x7f80 ? (Bits)0x7fff : flipped;
}

inline Bits larger(Bits a, Bits b) { return a > b ? a : b; }

// Of COUNT channels of one window: two pixels of the upper row and two of the lower.
template <bool RECTIFY, int COUNT>
inline void largest(const Bits* up, const Bits* down, std::int64_t C, Bits* found, Place* places) {
  for (int c = 0; c < COUNT; ++c) {
    const Bits a = ordered(up[c]), b = ordered(down[c]), d = ordered(up[c + C]), e = ordered(down[c + C]);
    const Bits left = larger(a, b), right = larger(d, e), best = larger(left, right);
    const Place first = a == left ? 0 : 1, second = d == right ? 2 : 3, place = left == best ? first : second;
    const Bits kept = RECTIFY && best < 0 ? (Bits)0 : best;
    found[c] = (Bits)(kept ^ ((kept >> 15) & 0x7fff));
    places[c] = RECTIFY && best <= 0 ? NOWHERE : place;
  }
}

template <bool RECTIFY>
void largest_of_window(const Bits* up, const Bits* down, std::int64_t C, Bits* found, Place* places) {
  std::int64_t c = 0;
  for (; c + 32 <= C; c += 32) largest<RECTIFY, 32>(up + c, down + c, C, found + c, places + c);
  for (; c + 8 <= C; c += 8) largest<RECTIFY, 8>(up + c, down + c, C, found + c, places + c);
  for (; c < C; ++c) largest<RECTIFY, 1>(up + c, down + c, C, found + c, places + c);
}

// COUNT channels of the two pixels side by side in an even row (odd = 0) or an odd one.
template <int COUNT>
inline void share(const Bits* given, const Place* place, Place odd, Bits* left, Bits* right) {
  for (int c = 0; c < COUNT; ++c) {
    left[c] = place[c] == odd ? given[c] : (Bits)0;
    right[c] = place[c] == odd + 2 ? given[c] : (Bits)0;
  }
}

}  // namespace

// x (B, H, W, C); found and places (B, H / 2, W / 2, C): of equal values the left one counts, and there the upper one.
extern "C" void pool_forward(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C, int rectify, int threads,
                             const Bits* x, Bits* found, Place* places) {
  const std::int64_t rows = H / 2, columns = W / 2;
#pragma omp parallel for num_threads(threads)
  for (std::int64_t row = 0; row < B * rows; ++row) {
    const Bits* from = x + (row / rows * H + row % rows * 2) * W * C;
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t to = (row * columns + column) * C;
      const Bits* up = from + column * 2 * C;
      (rectify ? largest_of_window<true> : largest_of_window<false>)(up, up + W * C, C, found + to, places + to);
    }
  }
}

// The gradient of the maxima, (B, H / 2, W / 2, C), to their pixels, (B, H, W, C); all others get 0.
extern "C" void pool_backward(std::int64_t B, std::int64_t H, std::int64_t W, std::int64_t C, int threads,
                              const Bits* gradient, const Place* places, Bits* back) {
  const std::int64_t rows = H / 2, columns = W / 2, line = W * C;
#pragma omp parallel for num_threads(threads)
  for (std::int64_t row = 0; row < B * H; ++row) {
    const std::int64_t y = row % H, above = row / H * rows + y / 2;
    const Place odd = (Place)(y % 2);
    Bits* to = back + row * line;
    if (y / 2 == rows) {
      for (std::int64_t i = 0; i < line; ++i) to[i] = 0;
      continue;
    }
    for (std::int64_t column = 0; column < columns; ++column) {
      const Bits* given = gradient + (above * columns + column) * C;
      const Place* place = places + (above * columns + column) * C;
      Bits *left = to + column * 2 * C, *right = left + C;
      std::int64_t c = 0;
      for (; c + 32 <= C; c += 32) share<32>(given + c, place + c, odd, left + c, right + c);
      for (; c + 8 <= C; c += 8) share<8>(given + c, place + c, odd, left + c, right + c);
      for (; c < C; ++c) share<1>(given + c, place + c, odd, left + c, right + c);
    }
    for (std::int64_t i = columns * 2 * C; i < line; ++i) to[i] = 0;
  }
}
