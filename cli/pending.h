// Deliveries that have not ended: where each is, as the broker and Redis have it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/redis_sync.h"
#include "base/time.h"
#include "cli/installation.h"
#include "cli/output.h"
#include "cli/results.h"
#include "cli/retrying.h"

namespace fanfare::cli {

struct PendingDelivery {
  enum class State {
    kReady,     // waits for a worker
    kDelayed,   // its publisher wants it later; not tried yet
    kRetrying,  // waits for another attempt
    kRunning,   // a worker has it, or how its attempt ended is being written to Redis
  };
  std::string function;
  protocol::EventId id;
  State state = State::kReady;
  std::uint32_t attempt = 1;               // the one that runs or comes next; 0: nobody knows yet
  std::int64_t accepted_ms = 0;            // Unix
  std::int64_t due_ms = 0;                 // Unix; of kDelayed and kRetrying
  std::string worker;                      // of kRunning; empty: its attempt has ended
  std::optional<std::int64_t> running_ms;  // nothing: it waits inside its worker
  std::optional<double> progress;          // 0 to 1, as the function says
  std::string note;
  std::optional<protocol::AttemptRow> last;  // the attempt before this one, if Redis has it
};
std::string_view to_string(PendingDelivery::State state);  // "ready", "delayed", …

// The broker's answer to the verb `deliveries`. Rows that make no sense are left out.
std::vector<PendingDelivery> parse_deliveries(std::string_view json);

// What is known of the event for `functions`: the broker knows what runs and what waits in it,
// Redis what lies in `later`. Without a broker only the latter.
Result<std::vector<PendingDelivery>> read_pending(client::BlockingClient* broker, RedisSync& redis,
                                                  const std::vector<std::string>& functions,
                                                  const protocol::EventId& id);

// "resize: running on local-1 for 4.2 s, 42 %, "page 3 of 7"", not yet printable.
std::string format_pending(const PendingDelivery& pending, WallTime now);
// A line for each on standard error.
void print_pending(const std::vector<PendingDelivery>& pending);
// In the shape of a result, with `status` the state: {"id","function","status","output":null, …}.
std::string pending_json(const PendingDelivery& pending);

// One line on a terminal that is written over as deliveries go on; gone when the object goes.
class ProgressLine {
 public:
  explicit ProgressLine(bool enabled) : enabled_(enabled) {}
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  bool enabled() const { return enabled_; }
  void show(const std::vector<PendingDelivery>& pending);
  void clear();

 private:
  bool enabled_;
  bool shown_ = false;
};

// What to do between two looks of `wait_results`: shows how far the event's deliveries are. Empty
// unless there is a terminal to show it on. `line` must outlive it.
Meanwhile show_progress(ProgressLine& line, client::BlockingClient& broker, RedisSync& redis,
                        std::vector<std::string> functions, const protocol::EventId& id);

}  // namespace fanfare::cli
