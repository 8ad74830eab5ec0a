// Names for files that strangers send.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace fanfare::triggers {

inline constexpr std::size_t kFileNameBytesMax = 200;

// A name of one path segment, UTF-8, for what a client calls its file: without the directories
// before it (of either kind of slash), control characters and bytes that are not UTF-8 replaced by
// "_", and so a dot or a dash at its beginning (hidden files, options of commands); cut to
// kFileNameBytesMax with its ending kept. "file" if nothing is left.
std::string safe_file_name(std::string_view said);

// Different names for files that lie together: "cat.png", then "cat-2.png".
class FileNames {
 public:
  std::string add(std::string_view safe_name);

 private:
  std::set<std::string, std::less<>> taken_;
};

}  // namespace fanfare::triggers
