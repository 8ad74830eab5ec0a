// A function's package: the files of its folder as one byte string, so that every host can fetch
// what was deployed and the digest of the bytes names it.
//
// Packed form: a msgpack map, path → [mode, bytes], paths ascending; the same files give the same
// bytes. Regular files only, by paths relative to the folder with '/' between their parts; mode is
// 0755 for files their owner may execute, else 0644.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fanfare::protocol {

inline constexpr std::size_t kPackageBytesMax = 64u << 20;  // of all files together
inline constexpr std::size_t kPackageFilesMax = 1000;
// Of the packed form: all files, and what names and modes of a thousand of them take.
inline constexpr std::uint64_t kPackedPackageMax = kPackageBytesMax + (8u << 20);

// Packs the folder `directory`. Rejects: not a folder, unreadable files, anything that is neither
// file nor folder (symbolic links included: what they point to may differ on another host), too
// many files or bytes.
Result<std::string> pack_directory(const std::string& directory);

// Writes the files below `target`, a folder that must not exist yet: into a sibling first, which is
// then renamed, so that `target` is complete whenever it exists. When somebody else was quicker,
// theirs stays and this succeeds. Rejects a package that is malformed, has paths that would leave
// the folder, or is over the bounds, before it writes anything.
Result<void> unpack_package(std::string_view package, const std::string& target);

// The files of a package, by their paths; rejects what unpack_package rejects.
Result<std::vector<std::string>> package_paths(std::string_view package);

// Whether each file of the package lies below `folder` with its bytes and its mode, in folders that
// everybody can walk through; what lies there beside them does not matter. kReject names the first
// that differs.
Result<void> compare_unpacked(std::string_view package, const std::string& folder);

}  // namespace fanfare::protocol
