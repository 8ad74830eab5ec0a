// Packages of functions on this host: fetched by digest, verified, unpacked once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "worker/package_source.h"

namespace fanfare::worker {

class PackageCache {
 public:
  PackageCache(std::string folder, std::unique_ptr<PackageSource> source)
      : folder_(std::move(folder)), source_(std::move(source)) {}

  // Makes the folder; kFatal if it cannot be written to.
  Result<void> prepare();

  // Where the package is unpacked, complete; empty if it is not here (yet).
  std::string find(const std::string& digest) const;

  // Fetches it and calls back once with its folder, waiting for its source as long as it takes.
  // kReject: no such package, or its bytes are damaged.
  using Done = std::function<void(const Result<std::string>& folder)>;
  void fetch(const std::string& digest, Done done);

 private:
  Result<std::string> take(const std::string& digest, const Result<std::string>& bytes);

  std::string folder_;
  std::unique_ptr<PackageSource> source_;
};

}  // namespace fanfare::worker
