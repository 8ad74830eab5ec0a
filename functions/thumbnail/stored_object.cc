#include "stored_object.h"

#include <fanfare/function.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

namespace thumbnail {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

[[noreturn]] void refuse(const char* type, std::string message) {
  throw fanfare::Failure(fanfare::Failure{type, std::move(message)}.retryable(false));
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Each part of the key must name something inside: no "..", no absolute path, no NUL.
void check_key(const std::string& bucket, const std::string& key) {
  bool good = !bucket.empty() && !key.empty() && bucket.find('/') == std::string::npos;
  for (const std::string& text : {bucket, key}) good &= text.find('\0') == std::string::npos;
  good &= fs::path(key).is_relative() && bucket != ".." && bucket != ".";
  for (const fs::path& part : fs::path(key)) good &= part != ".." && part != ".";
  if (!good) refuse("InvalidKey", "the key '" + key + "' leads out of its bucket");
}

std::string from_base64(const std::string& text) {
  if (text.size() % 4 != 0) refuse("MalformedEvent", "data_base64 is not base64");
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) refuse("MalformedEvent", "data_base64 is not base64");
  bytes.resize(static_cast<std::size_t>(size));
  for (std::size_t i = text.size(); i-- > 0 && text[i] == '=' && !bytes.empty();) bytes.pop_back();
  return bytes;
}

// S3 writes keys into events as a form would: "a b.png" is "a+b.png".
std::string form_decoded(std::string_view key) {
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i] == '%' && i + 2 < key.size() &&
        std::isxdigit(static_cast<unsigned char>(key[i + 1])) &&
        std::isxdigit(static_cast<unsigned char>(key[i + 2]))) {
      out += static_cast<char>(std::stoi(std::string(key.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += key[i] == '+' ? ' ' : key[i];
    }
  }
  return out;
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file) {
    throw fanfare::Failure{"StorageError",
                           "cannot read " + path.string() + ": " + std::strerror(errno)};
  }
  return std::move(bytes).str();
}

}  // namespace

StoredObject parse_object(std::string_view text) {
  json event = json::parse(text, nullptr, false);
  if (!event.is_object()) refuse("MalformedEvent", "the data is not a JSON object");
  if (const auto records = event.find("Records"); records != event.end()) {
    if (!records->is_array() || records->size() != 1 || !records->front().is_object()) {
      refuse("MalformedEvent", "one record is expected in Records");
    }
    event = json(records->front());
  }
  StoredObject object;
  if (std::string encoded = text_of(event, "data_base64"); !encoded.empty()) {
    object.inline_bytes = from_base64(encoded);
    object.is_inline = true;
    return object;
  }
  if (const auto s3 = event.find("s3"); s3 != event.end() && s3->is_object()) {
    object.bucket = text_of(s3->value("bucket", json::object()), "name");
    object.key = text_of(s3->value("object", json::object()), "key");
  } else {
    object.bucket = text_of(event, "bucket");
    object.key = text_of(event, "key");
  }
  if (object.bucket.empty() || object.key.empty()) {
    refuse("MalformedEvent", "neither bucket and key nor data_base64");
  }
  check_key(object.bucket, object.key);
  check_key(object.bucket, form_decoded(object.key));
  return object;
}

bool looks_like_image(std::string_view key) {
  std::string lower(key);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::array<std::string_view, 3> endings{".png", ".jpg", ".jpeg"};
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return lower.ends_with(ending); });
}

std::string read_object(const fs::path& storage, const StoredObject& object) {
  if (object.is_inline) return object.inline_bytes;
  for (const std::string& key : {object.key, form_decoded(object.key)}) {
    std::error_code error;
    const fs::path path = fs::canonical(storage / object.bucket / key, error);
    if (error == std::errc::permission_denied) {  // it may be there, and may be let in yet
      throw fanfare::Failure{"StorageError", "cannot read " + object.bucket + "/" + key + " in " +
                                                 storage.string() + ": " + error.message()};
    }
    if (error || !fs::is_regular_file(path, error)) continue;
    // A link inside the bucket may still lead out of it.
    const fs::path inside = fs::relative(path, fs::canonical(storage, error), error);
    if (error || inside.empty() || *inside.begin() == "..") {
      refuse("InvalidKey", "the key '" + object.key + "' leads out of the storage");
    }
    return slurp(path);
  }
  refuse("ObjectNotFound",
         "there is no " + object.bucket + "/" + object.key + " in " + storage.string());
}

std::string write_thumbnail(const fs::path& storage, const StoredObject& object,
                            std::string_view bytes) {
  const std::string key = object.bucket + "/" + object.key;
  const fs::path path = storage / kThumbnailBucket / key;
  const fs::path unfinished =
      path.parent_path() / ("." + path.filename().string() + "." + std::to_string(::getpid()));
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  std::ofstream file(unfinished, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) fs::rename(unfinished, path, error);
  if (!file || error) throw fanfare::Failure{"StorageError", "cannot write " + path.string()};
  return key;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

std::string to_base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // EVP adds a NUL
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

}  // namespace thumbnail
