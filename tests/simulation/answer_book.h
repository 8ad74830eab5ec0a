// What one broker has answered, kept beside what it says that it has counted.
//
// Is told of each batch, each unreadable frame and each answer of the repeat guard before the
// broker has it, and of each frame that the broker sends. What a repeat is told that was told
// before, here or by a former broker, counts once: where it was decided.
//
// What cannot be read is counted and refused at once, to the peer that sent it. Any other refusal
// that no batch got is counted when it is sent: the two must agree at any time. Events
// are counted when their fate is known and answered with the whole of their batch: the counters may
// be ahead, and must agree whenever no batch is open.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "broker/counters.h"
#include "protocol/messages.h"
#include "store/calls.h"

namespace fanfare::simulation {

class AnswerBook {
 public:
  void on_publish(const std::string& peer, const protocol::PublishView& publish);
  void on_unreadable(const std::string& peer);
  void on_recall() { ++recalls_under_way_; }
  void on_recalled(const store::Recall& call, const Result<store::Answer>& answer);
  void on_sent(const std::string& peer, std::string_view frame);

  struct Now {
    std::size_t callers = 0;  // that wait for an invocation
    bool ended = false;       // it will not answer what it has taken
  };
  // What does not add up; empty: everything does.
  std::string check(const broker::Counters& counters, Now now);

 private:
  enum Reason : std::size_t {
    kMalformed,
    kTooLarge,
    kQueueFull,
    kUnavailable,
    kUnsupported,
    kNoSuchFunction,
    kAll
  };
  struct Events {
    std::uint64_t accepted = 0, unmatched = 0, deliveries = 0, duplicates = 0;
    std::array<std::uint64_t, kAll> refused{};
  };
  struct Batch {
    std::uint64_t events = 0;
    bool open = false;               // a frame came for which nothing was answered
    std::optional<Events> recalled;  // that a former broker decided
    std::optional<protocol::Published> answer;
    bool refused_for_good = false;
  };
  static Reason reason_of(protocol::Refusal code);
  static Events events_of(const protocol::Published& answer);
  Batch* batch_of(const std::string& peer, std::uint64_t sequence);
  void set_open(Batch& batch, bool open);
  void on_published(const std::string& peer, const protocol::Published& answer);
  void on_refused(const std::string& peer, const protocol::Refused& refused);
  template <typename... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) {
    if (complaint_.empty()) complaint_ = fmt::format(format, std::forward<Args>(args)...);
  }

  std::map<std::string, std::string> clients_;  // by peer
  std::map<std::pair<std::string, std::uint64_t>, Batch> batches_;
  std::size_t open_ = 0, recalls_under_way_ = 0;
  Events events_;
  std::uint64_t refusals_ = 0;  // but for those of whole batches
  std::uint64_t invoked_ = 0;
  std::uint64_t unreadable_ = 0;
  std::map<std::string, std::size_t> unanswered_garbage_;  // by peer
  std::string complaint_;
};

}  // namespace fanfare::simulation
