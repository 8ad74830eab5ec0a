// A small copy of every image that is uploaded.

#include <fanfare/function.h>

#include <nlohmann/json.hpp>

#include "image.h"
#include "stored_object.h"

namespace {

constexpr std::uint32_t kSide = 128;

fanfare::Output skipped(std::string_view why) {
  return fanfare::Output::object({{"skipped", why}});
}

}  // namespace

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  using namespace thumbnail;
  const StoredObject object = parse_object(event.data);
  const auto storage = fanfare::Context::env("FANFARE_STORAGE");
  if (!object.is_inline) {
    if (object.bucket == kThumbnailBucket) return skipped("already a thumbnail");
    if (!looks_like_image(object.key)) return skipped("not a PNG or JPEG by its name");
    if (!storage) {
      return fanfare::Failure{"NoStorage", "FANFARE_STORAGE does not name the storage folder"}
          .retryable(false);
    }
  }
  const std::string bytes = read_object(storage.value_or(""), object);
  const Kind kind = kind_of(bytes);
  context.progress(0.1, "decoding");
  const Image image = decode(bytes);
  context.progress(0.6, "scaling");
  const Image small = scaled_to_fit(image, kSide);
  const std::string encoded = encode(small, kind);

  nlohmann::ordered_json result{{"width", small.width},
                                {"height", small.height},
                                {"original_width", image.width},
                                {"original_height", image.height},
                                {"content_type", content_type(kind)},
                                {"bytes", encoded.size()},
                                {"sha256", sha256_hex(encoded)}};
  if (object.is_inline) {
    result["data_base64"] = to_base64(encoded);
  } else {
    result["bucket"] = kThumbnailBucket;
    result["key"] = write_thumbnail(*storage, object, encoded);
  }
  return fanfare::Output::json(result.dump());
}
