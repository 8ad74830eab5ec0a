#include "worker/package_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/sha256.h"
#include "protocol/package.h"

namespace fanfare::worker {

Result<void> PackageCache::prepare() {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error || ::access(folder_.c_str(), W_OK | X_OK) != 0) {
    return fatal(fmt::format(
        "cannot write to {}; set [worker] cache_dir to a folder of the worker's own", folder_));
  }
  return {};
}

std::string PackageCache::find(const std::string& digest) const {
  std::error_code ignored;
  const std::string folder = folder_ + "/" + digest;
  return std::filesystem::is_directory(folder, ignored) ? folder : std::string{};
}

void PackageCache::fetch(const std::string& digest, Done done) {
  source_->fetch(digest, [this, digest, done = std::move(done)](const Result<std::string>& bytes) {
    done(take(digest, bytes));
  });
}

Result<std::string> PackageCache::take(const std::string& digest,
                                       const Result<std::string>& bytes) {
  const std::string brief = digest.substr(0, 12);
  if (!bytes) {
    return reject(
        fmt::format("package {}: {}; deploy the function again", brief, bytes.error().message));
  }
  if (sha256_hex(*bytes) != digest) {
    return reject(fmt::format("package {} is damaged; deploy the function again", brief));
  }
  const std::string folder = folder_ + "/" + digest;
  const auto unpacked = protocol::unpack_package(*bytes, folder);
  if (!unpacked) return unpacked.error();
  return folder;
}

}  // namespace fanfare::worker
