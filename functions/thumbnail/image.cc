#include "image.h"

#include <fanfare/function.h>
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace thumbnail {
namespace {

constexpr int kJpegQuality = 85;

[[noreturn]] void refuse(const std::string& why) {
  throw fanfare::Failure{"DecodeError", why}.retryable(false);
}

const unsigned char* unsigned_bytes(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

void check_size(std::uint64_t width, std::uint64_t height) {
  if (width == 0 || height == 0) refuse("an image without pixels");
  if (width > kPixelsMax / height) {
    refuse(std::to_string(width) + " x " + std::to_string(height) + " pixels are more than " +
           std::to_string(kPixelsMax));
  }
}

Image decode_png(std::string_view bytes) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, decltype(&png_image_free)> freed(&png, &png_image_free);
  if (!png_image_begin_read_from_memory(&png, bytes.data(), bytes.size())) refuse(png.message);
  check_size(png.width, png.height);
  png.format = png.format & PNG_FORMAT_FLAG_ALPHA ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
  Image image{.width = png.width,
              .height = png.height,
              .channels = png.format == PNG_FORMAT_RGBA ? 4u : 3u,
              .pixels = std::vector<std::uint8_t>(PNG_IMAGE_SIZE(png))};
  if (!png_image_finish_read(&png, nullptr, image.pixels.data(), 0, nullptr)) refuse(png.message);
  return image;
}

Image decode_jpeg(std::string_view bytes) {
  const std::unique_ptr<void, decltype(&tjDestroy)> decoder(tjInitDecompress(), &tjDestroy);
  if (!decoder) throw std::bad_alloc();
  int width = 0, height = 0, sampling = 0, colours = 0;
  if (tjDecompressHeader3(decoder.get(), unsigned_bytes(bytes), bytes.size(), &width, &height,
                          &sampling, &colours) != 0) {
    refuse(tjGetErrorStr2(decoder.get()));
  }
  check_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height));
  Image image{.width = static_cast<std::uint32_t>(width),
              .height = static_cast<std::uint32_t>(height),
              .channels = 3,
              .pixels = {}};
  image.pixels.resize(std::size_t{image.width} * image.height * 3);
  // A warning (a file that is cut off) is an error here: half an image is no image.
  if (tjDecompress2(decoder.get(), unsigned_bytes(bytes), bytes.size(), image.pixels.data(), width,
                    0, height, TJPF_RGB, TJFLAG_ACCURATEDCT) != 0) {
    refuse(tjGetErrorStr2(decoder.get()));
  }
  return image;
}

std::string encode_png(const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = image.width;
  png.height = image.height;
  png.format = image.channels == 4 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr)) {
    throw fanfare::Failure{"EncodeError", png.message};
  }
  bytes.resize(size);
  return bytes;
}

std::string encode_jpeg(const Image& image) {
  const std::unique_ptr<void, decltype(&tjDestroy)> encoder(tjInitCompress(), &tjDestroy);
  if (!encoder) throw std::bad_alloc();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int failed = tjCompress2(encoder.get(), image.pixels.data(), static_cast<int>(image.width),
                                 0, static_cast<int>(image.height), TJPF_RGB, &bytes, &size,
                                 TJSAMP_420, kJpegQuality, 0);
  const std::unique_ptr<unsigned char, decltype(&tjFree)> freed(bytes, &tjFree);
  if (failed) throw fanfare::Failure{"EncodeError", tjGetErrorStr2(encoder.get())};
  return {reinterpret_cast<const char*>(bytes), size};
}

// The mean of a block of pixels, its colours weighted by opacity so that invisible ones do not
// show.
void average(const Image& image, std::uint32_t x0, std::uint32_t x1, std::uint32_t y0,
             std::uint32_t y1, std::uint8_t* out) {
  std::uint64_t sums[4] = {}, weights = 0, pixels = 0;
  for (std::uint32_t y = y0; y < y1; ++y) {
    const std::uint8_t* row = &image.pixels[std::size_t{y} * image.width * image.channels];
    for (std::uint32_t x = x0; x < x1; ++x) {
      const std::uint8_t* pixel = row + std::size_t{x} * image.channels;
      const std::uint64_t opacity = image.channels == 4 ? pixel[3] : 255;
      for (int c = 0; c < 3; ++c) sums[c] += pixel[c] * opacity;
      weights += opacity;
      ++pixels;
    }
  }
  for (int c = 0; c < 3; ++c) {
    out[c] = static_cast<std::uint8_t>(weights ? (sums[c] + weights / 2) / weights : 0);
  }
  if (image.channels == 4) out[3] = static_cast<std::uint8_t>((weights + pixels / 2) / pixels);
}

}  // namespace

std::string_view content_type(Kind kind) {
  return kind == Kind::kPng ? "image/png" : "image/jpeg";
}

Kind kind_of(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return Kind::kPng;
  if (bytes.starts_with("\xff\xd8\xff")) return Kind::kJpeg;
  refuse("neither a PNG nor a JPEG");
}

Image decode(std::string_view bytes) {
  return kind_of(bytes) == Kind::kPng ? decode_png(bytes) : decode_jpeg(bytes);
}

Image scaled_to_fit(const Image& image, std::uint32_t side) {
  const std::uint32_t longest = std::max(image.width, image.height);
  if (longest <= side) return image;
  const auto scaled = [&](std::uint32_t length) {
    return std::max<std::uint32_t>(
        1, static_cast<std::uint32_t>((std::uint64_t{length} * side + longest / 2) / longest));
  };
  Image small{.width = scaled(image.width),
              .height = scaled(image.height),
              .channels = image.channels,
              .pixels = {}};
  small.pixels.resize(std::size_t{small.width} * small.height * small.channels);
  const auto edge = [](std::uint64_t index, std::uint32_t from, std::uint32_t to) {
    return static_cast<std::uint32_t>(index * from / to);
  };
  std::uint8_t* out = small.pixels.data();
  for (std::uint32_t y = 0; y < small.height; ++y) {
    const std::uint32_t y0 = edge(y, image.height, small.height);
    const std::uint32_t y1 = std::max(y0 + 1, edge(y + 1, image.height, small.height));
    for (std::uint32_t x = 0; x < small.width; ++x, out += small.channels) {
      const std::uint32_t x0 = edge(x, image.width, small.width);
      const std::uint32_t x1 = std::max(x0 + 1, edge(x + 1, image.width, small.width));
      average(image, x0, x1, y0, y1, out);
    }
  }
  return small;
}

std::string encode(const Image& image, Kind kind) {
  return kind == Kind::kPng ? encode_png(image) : encode_jpeg(image);
}

}  // namespace thumbnail
