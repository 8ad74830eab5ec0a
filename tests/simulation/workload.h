// What is published in a simulated world, and what the functions there do with it.
//
// Every event carries its own number (the tag) as its subject, so that it is recognised wherever it
// lies, and tells the function in its data how to behave.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "protocol/event.h"
#include "protocol/ids.h"
#include "tests/simulation/random.h"

namespace fanfare::simulation {

using Tag = std::uint32_t;

enum class Behaviour : std::uint8_t {
  kOk,
  kFail,      // a retryable failure while attempt <= times
  kRefuse,    // a failure that is not retryable
  kCrash,     // the instance dies while attempt <= times
  kHang,      // runs until it is killed while attempt <= times
  kOversize,  // a result above the function's limit
  kPoison,    // takes the whole worker down, the first `times` times it runs
};
std::string_view to_string(Behaviour behaviour);

struct Script {
  Behaviour behaviour = Behaviour::kOk;
  std::uint32_t times = 0;
  std::uint32_t service_us = 100;  // how long it runs
  bool prints = false;
};

struct FunctionModel {
  std::string name;
  std::vector<std::string> types;  // events it subscribes to
  std::uint32_t max_attempts = 4;
  std::uint32_t max_concurrency = 0;
  bool results_stored = true;
  bool keeps_count = false;  // each success adds one to kCountRow of its store
  Duration timeout = std::chrono::milliseconds{60};
  std::string on_success, on_failure;
  std::string manifest;  // function.toml
};

inline constexpr std::string_view kCountRow = "succeeded";
inline constexpr std::size_t kFunctionsMax = 8;
using FunctionSet = std::uint8_t;  // one bit per function

class Workload {
 public:
  Workload();

  const std::vector<FunctionModel>& functions() const { return functions_; }
  std::optional<std::size_t> find(std::string_view name) const;
  FunctionSet subscribed_to(std::string_view type) const;

  double large_events = 0.02;  // of all; they spread batches over chunks

  // The package digest of a function's generation: any text of the right shape.
  static std::string digest(std::size_t function, std::uint32_t generation);

  // What makes an event another one's duplicate, or a misuse of its key.
  struct Names {
    std::string id, idempotency_key;
    bool empty() const { return id.empty() && idempotency_key.empty(); }
  };
  struct Made {
    std::string packed;
    std::string type;
    std::optional<std::int64_t> not_before_ms;  // deliver_at
    Names names;
  };
  // A new event with this tag; `now_ms` is the publisher's wall clock. Takes the names given, else
  // some have names of their own. Due at that instant if one is given.
  Made make_event(Tag tag, std::int64_t now_ms, Random& random, Names names = {},
                  std::optional<std::int64_t> instant_ms = {}) const;
  std::string make_invocation(Tag tag, Random& random) const;

 private:
  std::vector<FunctionModel> functions_;
};

// Nothing if these bytes are not an event that a publisher of this world made.
std::optional<Tag> tag_of(std::string_view packed_event);
Script script_of(std::string_view packed_event);

// What a destination is told: how the delivery of which event ended, for which function.
struct Told {
  std::string function;
  protocol::EventId id;
  bool of_success = false;
  std::string type;
};
std::optional<Told> told_by(std::string_view packed_event);

}  // namespace fanfare::simulation
