// A directory for one test, removed with all it holds when the object goes.
#pragma once

#include <filesystem>
#include <string>

namespace fanfare::test {

class TempDir {
 public:
  TempDir();  // /tmp/fanfare-XXXXXX: short, because Unix socket paths may have 107 bytes only
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace fanfare::test
