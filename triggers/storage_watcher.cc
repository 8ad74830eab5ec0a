#include "triggers/storage_watcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace fanfare::triggers {
namespace {

// Without links, dots and a slash at the end, as far as it can be told.
std::filesystem::path plain_path(const std::string& path) {
  std::error_code error;
  auto plain = std::filesystem::weakly_canonical(path, error);
  if (error) plain = std::filesystem::path(path).lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

// Then its ledgers would be announced, which writes to the ledgers.
bool lies_within(const std::string& path, const std::string& directory) {
  const auto inner = plain_path(path), outer = plain_path(directory);
  const auto [at, end] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  return at == outer.end();
}

Result<void> check_buckets(const std::vector<StorageBucketOptions>& buckets,
                           const std::string& state_directory) {
  if (buckets.size() > kStorageBucketsMax) {
    return reject(fmt::format("{} buckets; {} at most", buckets.size(), kStorageBucketsMax));
  }
  std::set<std::string> names;
  for (const auto& bucket : buckets) {
    if (!is_bucket_name(bucket.name)) {
      return reject(
          fmt::format("bucket \"{}\": a name has 1 to 63 of a-z A-Z 0-9 . _ - and does not "
                      "begin with a dot",
                      bucket.name));
    }
    if (!names.insert(bucket.name).second) {
      return reject(fmt::format("bucket {} is named twice", bucket.name));
    }
    if (!std::filesystem::path(bucket.directory).is_absolute()) {
      return reject(fmt::format("bucket {}: directory \"{}\" must be an absolute path", bucket.name,
                                bucket.directory));
    }
    if (lies_within(state_directory, bucket.directory)) {
      return reject(fmt::format("bucket {}: the state directory {} lies in it; keep it elsewhere",
                                bucket.name, state_directory));
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<StorageWatcher>> StorageWatcher::open(Loop& loop, ZmqContext& zmq,
                                                             StorageWatcherOptions options) {
  if (auto fine = check_buckets(options.buckets, options.state_directory); !fine)
    return fine.error();
  std::error_code error;
  std::filesystem::create_directories(options.state_directory, error);
  if (error) {
    return fatal(fmt::format("making {}: {}", options.state_directory, error.message()));
  }
  const StorageBucket::Surroundings surroundings{options.broker, options.state_directory,
                                                 options.failpoint, options.loses_news,
                                                 options.curve};
  std::unique_ptr<StorageWatcher> watcher(new StorageWatcher);
  for (auto& bucket : options.buckets) {
    auto opened = StorageBucket::open(loop, zmq, std::move(bucket), surroundings);
    if (!opened) return opened.error();
    watcher->buckets_.push_back(*std::move(opened));
  }
  return watcher;
}

void StorageWatcher::stop() {
  for (const auto& bucket : buckets_) bucket->stop();
}

bool StorageWatcher::stopped() const {
  return std::ranges::all_of(buckets_, [](const auto& bucket) { return bucket->stopped(); });
}

std::vector<StorageBucketStatus> StorageWatcher::status() const {
  std::vector<StorageBucketStatus> all;
  for (const auto& bucket : buckets_) all.push_back(bucket->status());
  return all;
}

}  // namespace fanfare::triggers
