// The uploaded object that an event speaks of, and where its thumbnail goes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace thumbnail {

inline constexpr std::string_view kThumbnailBucket = "thumbnails";

struct StoredObject {
  std::string bucket, key;
  std::string inline_bytes;  // instead of a file
  bool is_inline = false;
};

// Reads an S3 event ({"Records": […]} or a single record), {"bucket": …, "key": …}, or
// {"data_base64": …}. Throws fanfare::Failure, not retryable: MalformedEvent, InvalidKey (a key
// that leads out of its bucket).
StoredObject parse_object(std::string_view json);

// By its name; what else is uploaded is none of this function's business.
bool looks_like_image(std::string_view key);

// Throws fanfare::Failure ObjectNotFound (not retryable), or StorageError (retryable).
std::string read_object(const std::filesystem::path& storage, const StoredObject& object);

// Writes beside and renames, so that nobody ever sees half a thumbnail; running twice does no harm.
// Returns the thumbnail's key. Throws fanfare::Failure StorageError.
std::string write_thumbnail(const std::filesystem::path& storage, const StoredObject& object,
                            std::string_view bytes);

std::string sha256_hex(std::string_view bytes);
std::string to_base64(std::string_view bytes);

}  // namespace thumbnail
