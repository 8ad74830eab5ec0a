#include "worker/asked.h"

#include <cstring>

namespace fanfare::worker {
namespace {

constexpr std::size_t kHeadBytes = 1 + sizeof(std::uint32_t);

}  // namespace

void append_asked(std::string& list, Asked::Kind kind, std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  char head[kHeadBytes];
  head[0] = static_cast<char>(kind);
  std::memcpy(head + 1, &size, sizeof size);
  list.append(head, sizeof head).append(bytes);
}

Result<std::vector<Asked>> read_asked(std::string_view list) {
  std::vector<Asked> all;
  std::size_t published_bytes = 0;
  while (!list.empty()) {
    std::uint32_t size = 0;
    if (list.size() < kHeadBytes) return reject("the instance asks for something that is cut off");
    if (list[0] != static_cast<char>(Asked::Kind::kPublish)) {
      return reject("the instance asks for something unknown");
    }
    std::memcpy(&size, list.data() + 1, sizeof size);
    list.remove_prefix(kHeadBytes);
    if (list.size() < size) return reject("the instance asks for something that is cut off");
    published_bytes += size;
    if (all.size() >= kPublishedMax || published_bytes > kPublishedBytesMax) {
      return reject("the instance publishes more than one attempt may");
    }
    all.push_back({Asked::Kind::kPublish, std::string{list.substr(0, size)}});
    list.remove_prefix(size);
  }
  return all;
}

}  // namespace fanfare::worker
