#include "cli/bench_hops.h"

#include <array>
#include <map>
#include <span>
#include <utility>

namespace fanfare::cli {
namespace {

using protocol::Hop;

struct Row {
  const char* name;
  Hop from, to;
};

constexpr std::array kRows{
    Row{"publish: client library, way to the broker", Hop::kPublished, Hop::kArrived},
    Row{"intake: checked, routed, given to Redis", Hop::kArrived, Hop::kWritten},
    Row{"journal: written, and on disk if class fsync", Hop::kWritten, Hop::kJournaled},
    Row{"answer: way back to the publisher", Hop::kJournaled, Hop::kAcknowledged},
    Row{"dispatch: arrived, until given to a worker", Hop::kArrived, Hop::kLent},
    Row{"delivery: way to the worker", Hop::kLent, Hop::kReceived},
    Row{"hand over: an instance chosen", Hop::kReceived, Hop::kHandedOver},
    Row{"instance: woken, or forked", Hop::kHandedOver, Hop::kEntered},
    Row{"handler", Hop::kEntered, Hop::kLeft},
    Row{"result: way back to the worker", Hop::kLeft, Hop::kResult},
    Row{"commit: with its journal entry, in Redis", Hop::kResult, Hop::kCommitted},
    Row{"done: way back to the broker", Hop::kCommitted, Hop::kDone},
    Row{"publish to handler entered", Hop::kPublished, Hop::kEntered},
    Row{"publish to acknowledged", Hop::kPublished, Hop::kAcknowledged},
    Row{"publish to result in Redis", Hop::kPublished, Hop::kCommitted},
    Row{"publish to the end of it all", Hop::kPublished, Hop::kDone},
};

using Instants = std::array<std::int64_t, static_cast<std::size_t>(Hop::kDone) + 1>;  // 0: never

std::int64_t at(const Instants& instants, Hop hop) {
  return instants[static_cast<std::size_t>(hop)];
}

}  // namespace

std::vector<HopRow> hop_rows(const std::vector<TraceFile::Record>& of_publisher,
                             const std::vector<TraceFile::Record>& of_installation) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, Instants> events;
  const auto note = [](Instants& instants, const TraceFile::Record& record) {
    if (record.point >= instants.size()) return;  // of a later build
    std::int64_t& instant = instants[record.point];
    if (instant == 0 || record.at_ns < instant) instant = record.at_ns;
  };
  for (const auto& record : of_publisher) note(events[{record.high, record.low}], record);
  for (const auto& record : of_installation) {
    const auto event = events.find({record.high, record.low});
    if (event != events.end()) note(event->second, record);
  }
  std::vector<HopRow> rows;
  for (const Row& row : kRows) {
    std::vector<double> took_us;
    for (const auto& [id, instants] : events) {
      const std::int64_t from = at(instants, row.from), to = at(instants, row.to);
      if (from != 0 && to != 0) took_us.push_back(static_cast<double>(to - from) / 1e3);
    }
    const std::size_t count = took_us.size();
    rows.push_back({row.name, percentiles(took_us), count});
  }
  return rows;
}

}  // namespace fanfare::cli
