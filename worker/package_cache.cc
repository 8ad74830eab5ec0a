#include "worker/package_cache.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
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

std::string PackageCache::find(const std::string& digest) {
  std::error_code ignored;
  const std::string folder = folder_ + "/" + digest;
  if (!std::filesystem::is_directory(folder, ignored)) return {};
  if (const auto known = verified_.find(digest);
      known != verified_.end() && known->second.still_holds(folder)) {
    return folder;
  }
  const auto package = protocol::pack_directory(folder);
  if (!package || sha256_hex(*package) != digest) return {};
  if (!protocol::compare_unpacked(*package, folder)) return {};  // not to be walked through
  note_verified(digest, *package);
  return folder;
}

void PackageCache::note_verified(const std::string& digest, std::string_view package) {
  verified_.erase(digest);
  auto paths = protocol::package_paths(package);
  if (!paths) return;
  auto stamp = PackageStamp::of(folder_ + "/" + digest, *std::move(paths));
  if (stamp) verified_.emplace(digest, *std::move(stamp));
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
  std::error_code ignored;
  if (std::filesystem::exists(folder, ignored)) {
    if (const auto same = protocol::compare_unpacked(*bytes, folder); !same) {
      spdlog::warn("{}; unpacked anew", same.error().message);
      if (auto replaced = replace(*bytes, folder); !replaced) return replaced.error();
    }
  } else if (auto unpacked = protocol::unpack_package(*bytes, folder); !unpacked) {
    return unpacked.error();
  }
  note_verified(digest, *bytes);
  return folder;
}

// Moved aside first: what runs of it keeps its open files, and nobody finds half of it.
Result<void> PackageCache::replace(std::string_view package, const std::string& folder) {
  const std::string aside = fmt::format("{}.damaged.{}", folder, ::getpid());
  std::error_code error;
  std::filesystem::remove_all(aside, error);
  std::filesystem::rename(folder, aside, error);
  if (error) return reject(fmt::format("cannot replace {}: {}", folder, error.message()));
  auto unpacked = protocol::unpack_package(package, folder);
  std::filesystem::remove_all(aside, error);
  return unpacked;
}

}  // namespace fanfare::worker
