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
  std::size_t published = 0, published_bytes = 0, row_lists = 0;
  while (!list.empty()) {
    std::uint32_t size = 0;
    if (list.size() < kHeadBytes) return reject("the instance asks for something that is cut off");
    const auto kind = static_cast<Asked::Kind>(list[0]);
    std::memcpy(&size, list.data() + 1, sizeof size);
    list.remove_prefix(kHeadBytes);
    if (list.size() < size) return reject("the instance asks for something that is cut off");
    const std::string_view bytes = list.substr(0, size);
    list.remove_prefix(size);
    switch (kind) {
      case Asked::Kind::kPublish:
        published_bytes += size;
        if (++published > kPublishedMax || published_bytes > kPublishedBytesMax) {
          return reject("the instance publishes more than one attempt may");
        }
        break;
      case Asked::Kind::kWriteRows:
        if (++row_lists > 1) return reject("the instance writes rows twice in one attempt");
        if (const auto fine = protocol::check_writes(bytes); !fine) {
          return reject("the instance writes rows wrongly: " + fine.error().message);
        }
        break;
      default:
        return reject("the instance asks for something unknown");
    }
    all.push_back({kind, std::string{bytes}});
  }
  return all;
}

}  // namespace fanfare::worker
