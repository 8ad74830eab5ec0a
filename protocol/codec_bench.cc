// What the codec costs per event, in one thread: the best of several rounds, in nanoseconds.
//   ninja protocol_bench && ./tests/protocol_bench
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "protocol/deliver_view.h"
#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

constexpr std::size_t kEvents = 256;  // a frame's, as under load
constexpr int kFrames = 2000;
constexpr int kRounds = 7;

// `work` handles one frame of kEvents; what it returns is summed up, so that nothing is left out.
template <typename Work>
void measure(const char* name, Work work) {
  double best = 1e9;
  std::size_t sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto from = std::chrono::steady_clock::now();
    for (int frame = 0; frame < kFrames; ++frame) sum += work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - from;
    best = std::min(best, took.count() / kFrames / kEvents);
  }
  std::printf("%-34s %7.1f ns/event  (%zu)\n", name, best, sum % 10);
}

Event event_of_200_bytes() {
  Event event = samples::minimal_event();
  event.data = std::string(140, 'x');
  return event;
}

std::size_t view_all(const std::vector<std::string>& packed) {
  std::size_t sum = 0;
  for (const std::string& event : packed) sum += view_event(event)->data.size();
  return sum;
}

void run() {
  const Event event = event_of_200_bytes();
  const std::vector<std::string> events(kEvents, pack(event));
  Publish publish{"00112233445566778899aabbccddeeff", 1, false, events};
  Deliver deliver{"wordcount", {}};
  std::vector<DeliveryView> views;
  Done done{1, {}, {}};
  Published published{
      1, {{PublishRun::Fate::kAccepted, {{1795444620125, 0}, 0}, kEvents, 0}}, {{"wordcount"}}, {}};
  for (std::size_t i = 0; i < kEvents; ++i) {
    const EventId id{{1795444620125, 3}, static_cast<std::uint8_t>(i)};
    deliver.deliveries.push_back(
        {.id = id, .entry_size = 256, .token = {77}, .accepted_ms = 1795444620125});
    deliver.deliveries.back().packed_event = events[i];
    views.push_back({.id = id, .entry_size = 256, .token = {77}, .accepted_ms = 1795444620125});
    views.back().packed_event = events[i];
    if (i == 0) done.committed.push_back({"wordcount", id.entry, {}});
    done.committed[0].add(id.index, {77});
  }
  const std::string publish_frame = encode(publish);
  const std::string deliver_frame = encode(deliver);
  const std::string done_frame = encode(done);
  std::printf("packed event: %zu bytes, frames of %zu\n", events[0].size(), kEvents);

  measure("memcpy of as many events", [&] {
    std::string copy;
    copy.reserve(publish_frame.size());
    for (const std::string& one : events) copy += one;
    return copy.size();
  });
  measure("pack event", [&] {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < kEvents; ++i) sum += pack(event).size();
    return sum;
  });
  measure("view event", [&] { return view_all(events); });
  measure("unpack event", [&] {
    std::size_t sum = 0;
    for (const std::string& one : events) sum += unpack_event(one)->data.size();
    return sum;
  });
  measure("encode Publish", [&] { return encode(publish).size(); });
  measure("view Publish", [&] { return view_publish(publish_frame)->packed_events.size(); });
  measure("encode Published (one run)", [&] { return encode(published).size(); });
  measure("encode Deliver", [&] { return encode(deliver).size(); });
  measure("write Deliver from views", [&] {
    DeliverWriter writer{"wordcount", kEvents * 280};
    for (const DeliveryView& view : views) writer.add(view);
    return writer.take().size();
  });
  measure("decode Deliver",
          [&] { return std::get<Deliver>(*decode(deliver_frame)).deliveries.size(); });
  measure("view Deliver", [&] { return view_deliver(deliver_frame)->deliveries.size(); });
  measure("encode Done", [&] { return encode(done).size(); });
  measure("decode Done", [&] { return std::get<Done>(*decode(done_frame)).committed.size(); });
}

}  // namespace
}  // namespace fanfare::protocol

int main() {
  fanfare::protocol::run();
}
