// The calls on earlier generations of functions: what was deployed before, to go back to.
//
// They are written by Deploy (calls.h), which keeps the latest few of each function, and forgotten
// by Remove. A package that neither a registered function nor a kept generation refers to is
// removed when the last generation that did is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fanfare::store {

inline constexpr std::uint32_t kGenerationsKeptMax = 100;  // of one function

// Of a deployment that came to nothing: its package goes, unless something refers to it.
struct DropPackage {
  std::uint32_t epoch = 0;
  std::string digest;
};
struct PackageDropped {
  bool dropped = false;
};

// Read only.
struct ListGenerations {
  std::string name;
};
struct Generation {
  std::uint64_t generation = 0;
  std::int64_t deployed_ms = 0;  // Unix ms; 0 = by an older build, which did not note it
  std::uint64_t from = 0;        // it was a rollback to this one; 0 = it was not
  std::string digest, manifest_toml;
  bool has_package = false;  // Redis has its package
};
struct GenerationList {
  std::vector<Generation> items;  // the newest first
};

}  // namespace fanfare::store
