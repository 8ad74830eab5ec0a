// Requests of HTTP, from whoever can connect: read by the gateway's own reader, with its limits,
// one after the other as a connection does. However the bytes are cut the same requests come out,
// nothing is kept beyond the limits, and what is refused is refused with a status.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/expect.h"
#include "triggers/http_request.h"

using namespace fanfare::triggers;
using namespace fanfare::triggers::http_detail;

namespace {

constexpr std::size_t kHeadMax = 512, kBodyMax = 300, kAllBodiesMax = 2000;

struct Story {
  std::string told;
  unsigned refused = 0;  // the status; 0 while there may be more
};

// What is wrong with an unfinished head may be seen later if it comes in pieces, and whether it is
// too long, or wrong, first.
bool same(const Story& one, const Story& other) {
  const bool comparable =
      one.refused != 0 && other.refused != 0 && one.refused != 431 && other.refused != 431;
  return one.told == other.told && (!comparable || one.refused == other.refused);
}

void tell_head(const RequestReader& reader, Story& story) {
  story.told.append(reader.method()).append(" ").append(reader.target()).append("\n");
  for (const auto& [name, value] : reader.fields()) {
    FUZZ_EXPECT(value.find('\n') == value.npos && value.find('\0') == value.npos);
    story.told.append(name).append(": ").append(value).append("\n");
  }
  story.told += reader.keep_alive() ? "keep\n" : "close\n";
  (void)path_of(reader.target());
}

// As a connection reads, `piece` bytes at a time.
Story read_all(std::string_view bytes, std::size_t piece) {
  Story story;
  BodyBudget budget{.max = kAllBodiesMax};
  auto reader = std::make_unique<RequestReader>(kHeadMax, budget);
  std::string buffer;
  while (!bytes.empty()) {
    const std::string_view more = bytes.substr(0, piece);
    buffer += more;
    bytes.remove_prefix(more.size());
    for (bool go_on = true; go_on && (!buffer.empty() || reader->has_head());) {
      const auto taken = reader->read(buffer);
      FUZZ_EXPECT(taken.bytes <= buffer.size());
      buffer.erase(0, taken.bytes);
      switch (taken.step) {
        case RequestReader::Step::kMore:
          FUZZ_EXPECT(buffer.size() <= kHeadMax);
          go_on = false;
          break;
        case RequestReader::Step::kHead:
          FUZZ_EXPECT(!reader->method().empty());
          tell_head(*reader, story);
          if (reader->accept({.bytes_max = kBodyMax, .too_long = {}, .sink = {}, .refusal = {}})) {
            break;
          }
          [[fallthrough]];
        case RequestReader::Step::kRefused: {
          const Refusal refusal = reader->take_refusal();
          FUZZ_EXPECT(refusal.response.status >= 400 && refusal.response.status < 600);
          story.refused = refusal.response.status;
          return story;
        }
        case RequestReader::Step::kDone:
          FUZZ_EXPECT(reader->body().size() <= kBodyMax);
          story.told.append(reader->body()).append("\n.\n");
          reader = std::make_unique<RequestReader>(kHeadMax, budget);
          FUZZ_EXPECT(budget.used == 0);
          break;
        case RequestReader::Step::kFull:
          FUZZ_EXPECT(false);
      }
    }
    FUZZ_EXPECT(budget.used <= kBodyMax);
  }
  return story;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const Story whole = read_all(bytes, size + 1);
  for (const std::size_t piece : {1u, 7u, 64u}) {
    FUZZ_EXPECT(same(read_all(bytes, piece), whole));
  }
  return 0;
}
