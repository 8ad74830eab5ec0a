// Pictures in memory: decode, scale down, encode. PNG through libpng, JPEG through TurboJPEG.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace thumbnail {

inline constexpr std::uint64_t kPixelsMax = 50'000'000;

enum class Kind { kPng, kJpeg };
std::string_view content_type(Kind kind);

struct Image {
  std::uint32_t width = 0, height = 0;
  std::uint32_t channels = 3;        // 3: RGB, 4: RGBA
  std::vector<std::uint8_t> pixels;  // rows from the top, without gaps
};

// Throws fanfare::Failure DecodeError, not retryable: neither PNG nor JPEG, broken, cut off, or
// over kPixelsMax.
Kind kind_of(std::string_view bytes);
Image decode(std::string_view bytes);

// The largest copy of the same shape whose sides are at most `side`: each pixel is the mean of
// those it stands for, weighted by their opacity. An image that fits already stays as it is.
Image scaled_to_fit(const Image& image, std::uint32_t side);

std::string encode(const Image& image, Kind kind);

}  // namespace thumbnail
