// Packages of functions on this host: fetched by digest, verified, unpacked once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "worker/package_source.h"
#include "worker/package_stamp.h"

namespace fanfare::worker {

class PackageCache {
 public:
  PackageCache(std::string folder, std::unique_ptr<PackageSource> source)
      : folder_(std::move(folder)), source_(std::move(source)) {}

  // Makes the folder; kFatal if it cannot be written to.
  Result<void> prepare();

  // Where the package is unpacked, complete and as it was deployed: its files are packed again and
  // their digest compared, once and whenever something has touched them since (package_stamp.h).
  // Empty if it is not here, or not as it should be: then fetch() it.
  std::string find(const std::string& digest);

  // Fetches it and calls back once with its folder, waiting for its source as long as it takes. A
  // folder that is here and differs is replaced; files beside the package's own may lie in it.
  // kReject: no such package, or its bytes do not have this digest.
  using Done = std::function<void(const Result<std::string>& folder)>;
  void fetch(const std::string& digest, Done done);

 private:
  Result<std::string> take(const std::string& digest, const Result<std::string>& bytes);

  void note_verified(const std::string& digest, std::string_view package);
  static Result<void> replace(std::string_view package, const std::string& folder);

  std::string folder_;
  std::unique_ptr<PackageSource> source_;
  std::map<std::string, PackageStamp> verified_;  // by digest
};

}  // namespace fanfare::worker
