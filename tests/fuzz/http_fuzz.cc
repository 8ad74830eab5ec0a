// Requests of HTTP, from whoever can connect: read by the gateway's own reader, with its limits,
// one after the other as a connection does; into memory, into a sink that is full again and again,
// and while others' bodies take nearly all the memory that there is for them. However the bytes are
// cut the same requests come out, nothing is kept beyond the limits, and what is refused is refused
// with a status.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tests/fuzz/expect.h"
#include "triggers/http_request.h"

using namespace fanfare::triggers;
using namespace fanfare::triggers::http_detail;

namespace {

constexpr std::size_t kHeadMax = 512, kBodyMax = 300;
constexpr std::size_t kRoom = 2000, kLittleRoom = 40;  // for bodies of all requests
constexpr std::size_t kSinkHolds = 16, kSinkTakes = 250;

enum class Where { kMemory, kSink };

// Holds a few bytes until it is told to pass them on; of too many it wants none.
struct FillingSink : BodySink {
  std::optional<HttpResponse> take(std::string_view bytes) override {
    FUZZ_EXPECT(!refused);
    taken += bytes;
    held += bytes.size();
    if (taken.size() <= kSinkTakes) return std::nullopt;
    refused = true;
    return HttpResponse{.status = 418, .headers = {}, .body = {}};
  }
  bool is_full() const override { return held >= kSinkHolds; }
  std::size_t bytes_in_memory() const override { return held; }
  std::string taken;
  std::size_t held = 0;
  bool refused = false;
};

struct Story {
  std::string told;
  unsigned refused = 0;  // the status; 0 while there may be more
};

// What is wrong with an unfinished head may be seen later if it comes in pieces, and whether it is
// too long, or wrong, first; so may a body that is too long for one or another reason.
bool same(const Story& one, const Story& other) {
  const auto by_length = [](unsigned status) {
    return status == 413 || status == 418 || status == 503;
  };
  const bool comparable =
      one.refused != 0 && other.refused != 0 && one.refused != 431 && other.refused != 431;
  return one.told == other.told && (!comparable || one.refused == other.refused ||
                                    (by_length(one.refused) && by_length(other.refused)));
}

// Of a large piece there is no room where there is for its parts, one after the other.
bool same_but_for_want_of_room(const Story& one, const Story& other) {
  if (one.refused != 503 && other.refused != 503) return same(one, other);
  return one.told.starts_with(other.told) || other.told.starts_with(one.told);
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
Story read_all(std::string_view bytes, std::size_t piece, Where where, std::size_t room) {
  Story story;
  BodyBudget budget{.max = kRoom, .used = kRoom - room};
  const std::size_t of_others = budget.used;
  auto reader = std::make_unique<RequestReader>(kHeadMax, budget);
  const auto sink_of = [](const RequestReader& of) { return static_cast<FillingSink*>(of.sink()); };
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
        case RequestReader::Step::kHead: {
          FUZZ_EXPECT(!reader->method().empty());
          tell_head(*reader, story);
          BodyPlan plan;
          plan.bytes_max = kBodyMax;
          if (where == Where::kSink) plan.sink = std::make_unique<FillingSink>();
          if (reader->accept(std::move(plan))) break;
          [[fallthrough]];
        }
        case RequestReader::Step::kRefused: {
          const Refusal refusal = reader->take_refusal();
          FUZZ_EXPECT(refusal.response.status >= 400 && refusal.response.status < 600);
          story.refused = refusal.response.status;
          reader.reset();
          FUZZ_EXPECT(budget.used == of_others);
          return story;
        }
        case RequestReader::Step::kDone:
          if (const FillingSink* const sink = sink_of(*reader)) {
            FUZZ_EXPECT(reader->body().empty() && sink->taken.size() <= kSinkTakes);
            story.told.append(sink->taken).append("\n.\n");
          } else {
            FUZZ_EXPECT(reader->body().size() <= kBodyMax);
            story.told.append(reader->body()).append("\n.\n");
          }
          reader = std::make_unique<RequestReader>(kHeadMax, budget);
          FUZZ_EXPECT(budget.used == of_others);
          break;
        case RequestReader::Step::kFull: {
          FillingSink* const sink = sink_of(*reader);
          FUZZ_EXPECT(sink && sink->is_full());
          const auto again = reader->read(buffer);
          FUZZ_EXPECT(again.step == RequestReader::Step::kFull && again.bytes == 0);
          FUZZ_EXPECT(budget.used == of_others + sink->held);
          sink->held = 0;
          reader->recount();
          FUZZ_EXPECT(budget.used == of_others);
        }
      }
    }
    FUZZ_EXPECT(budget.used <= of_others + std::min(kBodyMax, room));
  }
  return story;
}

void expect_same_however_cut(std::string_view bytes, Where where, std::size_t room) {
  const Story whole = read_all(bytes, bytes.size() + 1, where, room);
  for (const std::size_t piece : {1u, 7u, 64u}) {
    const Story cut = read_all(bytes, piece, where, room);
    FUZZ_EXPECT(where == Where::kSink ? same_but_for_want_of_room(cut, whole) : same(cut, whole));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  for (const std::size_t room : {kRoom, kLittleRoom}) {
    for (const Where where : {Where::kMemory, Where::kSink}) {
      expect_same_however_cut(bytes, where, room);
    }
  }
  return 0;
}
