#include "worker/package_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/sha256.h"
#include "protocol/package.h"
#include "store/keys.h"

namespace fanfare::worker {

PackageCache::PackageCache(Loop& loop, std::string folder, RedisOptions redis)
    : folder_(std::move(folder)) {
  link_ = std::make_unique<RedisLink>(
      loop, std::move(redis),
      RedisLink::Handlers{.on_up =
                              [this] {
                                for (auto& waiting : std::exchange(waiting_, {})) {
                                  ask(std::move(waiting.digest), std::move(waiting.done));
                                }
                              },
                          .on_down = {}});
}

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
  if (link_->up()) return ask(digest, std::move(done));
  waiting_.push_back({digest, std::move(done)});
}

void PackageCache::ask(std::string digest, Done done) {
  const std::string_view command[] = {"HGET", store::kPackagesKey, digest};
  link_->call(std::span<const std::string_view>(command),
              [this, digest, done = std::move(done)](const RedisReply& reply) mutable {
                if (reply.lost()) {
                  waiting_.push_back({std::move(digest), std::move(done)});
                  return;
                }
                done(take(digest, reply));
              });
}

Result<std::string> PackageCache::take(const std::string& digest, const RedisReply& reply) {
  const std::string brief = digest.substr(0, 12);
  if (reply.type() != RedisReply::Type::kString) {
    return reject(fmt::format("package {} is not in Redis; deploy the function again", brief));
  }
  if (sha256_hex(reply.text()) != digest) {
    return reject(fmt::format("package {} is damaged in Redis; deploy the function again", brief));
  }
  const std::string folder = folder_ + "/" + digest;
  const auto unpacked = protocol::unpack_package(reply.text(), folder);
  if (!unpacked) return unpacked.error();
  return folder;
}

}  // namespace fanfare::worker
