// A worker's connection, as the broker's core knows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "broker/function_state.h"
#include "broker/part_pace.h"
#include "protocol/messages.h"

namespace fanfare::broker {

// A worker connection that said Hello.
struct Session {
  SessionId id;
  Peer peer;
  protocol::Hello hello;  // without `held`
  TimePoint heard;
  std::uint64_t done_number = 0;  // of the latest Done taken
  std::uint64_t delivers_sent = 0;
  std::size_t suspects_lent = 0;
  std::vector<protocol::Heartbeat::Row> load;
  std::uint32_t waiting = 0;  // of its instances, those that wait for what they invoked
  protocol::WorkerState state = protocol::WorkerState::kRunning;  // as it last said
  bool to_be_quiet = false;                                       // an operator wishes it
  // And was told so, and has not said since that it is: heartbeats that say something else, which
  // may have crossed the message, until it is taken for missed.
  std::uint8_t told_quiet = 0;
  bool takes_work() const { return state == protocol::WorkerState::kRunning && !to_be_quiet; }
  protocol::WorkerState shown_state() const {
    return (takes_work() && told_quiet == 0) || state == protocol::WorkerState::kTerminating
               ? state
               : protocol::WorkerState::kQuiet;
  }
  std::size_t running_locally() const {
    std::size_t sum = 0;
    for (const auto& row : local) sum += row.here;
    return sum;
  }
  std::set<std::string> held_functions;  // that it named in Hello and that are not known here
  PartPace parts;                        // of packages that it fetches through this broker
  std::vector<protocol::RunningAttempt> running;     // as of its latest heartbeat
  std::vector<protocol::Heartbeat::Broken> broken;   // the same
  std::vector<protocol::Heartbeat::LocalRow> local;  // the same, of functions that are known
  TimePoint running_at;
};

}  // namespace fanfare::broker
