// Topics: read when the broker starts, and changed as operators and the gateway ask.
//
// Changes are made one after the other, each by what the former one has left, so that no two get
// into each other's way. A large one, as a file with many topics, is written in portions: of a
// broker that dies between them its successor finds some topics changed and some not, and whoever
// asks again, as clients do that got no answer, has the others changed. What has changed counts for
// events that come after the answer.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "broker/core_admin.h"

namespace fanfare::broker {
namespace {

constexpr std::size_t kTopicChangesMax = 1000;
constexpr std::size_t kTopicChangeBytesMax = 16u << 20;  // of all that wait; one alone always may

}  // namespace

void Core::on_topics(store::TopicList list) {
  for (const auto& item : list.items) {
    if (const auto loaded = topics_.load(item.name, item.definition); !loaded) {
      spdlog::error(
          "topic {}: what is stored cannot be read, nobody gets what is published to it: "
          "{}",
          item.name, loaded.error().message);
    }
  }
  if (!list.next.empty()) return call(store::ListTopics{std::move(list.next)}, ForTopics{});
  topics_known_ = true;
  if (phase_ == Phase::kStarting) return;
  rebuild_router();
  maybe_open_intake();
}

void Core::subscribe_to_topics() {
  for (const auto& [name, held] : topics_.topics()) {
    for (std::size_t i = 0; i < held.patterns.size(); ++i) {
      const std::string& function = held.topic.subscriptions[i].function;
      if (!is_deployed(function)) continue;
      if (held.patterns[i]) {
        router_.subscribe(function, *held.patterns[i]);
      } else {
        spdlog::error("topic {}: the stored subscription of {} cannot be used: {}", name, function,
                      held.patterns[i].error().message);
      }
    }
  }
}

void Core::answer_topics(const AdminCall& call) {
  if (!topics_known_) {
    return refuse_admin(call, protocol::Refusal::kUnavailable, "the broker is starting; try again");
  }
  answer_admin(call,
               topics_.answer(call.name, [this](const auto& name) { return is_deployed(name); }));
}

void Core::change_topics(const AdminCall& call) {
  if (!topics_known_) {
    return refuse_admin(call, protocol::Refusal::kUnavailable, "the broker is starting; try again");
  }
  if (call.verb == "subscribe") {
    const std::string function = call.text("function");
    const bool goes = std::ranges::any_of(purposes_, [&](const auto& waiting) {
      const auto* removal = std::get_if<ForRemove>(&waiting.second);
      return removal && removal->admin.function == function;
    });
    if (goes) {
      return refuse_admin(call, protocol::Refusal::kUnavailable,
                          fmt::format("{} is about to be removed; try again", function));
    }
  }
  std::string body = call.body.dump();
  const auto waiting =
      std::transform_reduce(topic_changes_.begin(), topic_changes_.end(), body.size(), std::plus{},
                            [](const TopicChange& change) { return change.body.size(); });
  if (topic_changes_.size() >= kTopicChangesMax ||
      (!topic_changes_.empty() && waiting > kTopicChangeBytesMax)) {
    ++counters_.topics_refused_busy;
    return refuse_admin(call, protocol::Refusal::kUnavailable,
                        "too many changes of topics wait; try again");
  }
  topic_changes_.push_back(
      {.admin = {call.peer, call.request, call.name}, .verb = call.verb, .body = std::move(body)});
  if (topic_changes_.size() == 1) begin_topic_changes();
}

// Until one has asked Redis for something, or there is none.
void Core::begin_topic_changes() {
  while (!topic_changes_.empty()) {
    TopicChange& change = topic_changes_.front();
    auto changes = topics_.changes(change.verb, change.body,
                                   [this](const auto& name) { return is_deployed(name); });
    const auto room = changes ? topics_.room_for(changes->puts) : Result<void>{};
    if (!changes) {
      refuse_admin(change.admin.peer, change.admin.request, protocol::Refusal::kInvalid,
                   changes.error().message);
    } else if (!room) {
      refuse_topics(change, room.error());
    } else if (!changes->puts.empty()) {
      change.answer = std::move(changes->answer);
      change.puts = std::move(changes->puts);
      return write_topics(change);
    } else {
      send(change.admin.peer, protocol::AdminReply{change.admin.request, changes->answer});
    }
    topic_changes_.pop_front();
  }
}

void Core::refuse_topics(const TopicChange& change, const Error& full) {
  ++counters_.topics_refused_full;
  refuse_admin(change.admin.peer, change.admin.request, protocol::Refusal::kTooLarge, full.message);
}

// The next portion: as many topics as one call takes that are all to be set, or all to go.
void Core::write_topics(TopicChange& change) {
  store::SetTopics set{epoch_, {}};
  std::size_t bytes = 0;
  for (std::size_t i = change.done; i < change.puts.size(); ++i) {
    const TopicPut& put = change.puts[i];
    std::string definition = put.topic ? to_json(*put.topic) : std::string{};
    bytes += put.name.size() + definition.size();
    const bool fits = set.items.size() < store::kTopicsAtOnceMax &&
                      bytes <= store::kTopicBytesAtOnceMax &&
                      put.topic.has_value() == change.puts[change.done].topic.has_value();
    if (!fits) break;  // never the first: no topic is as large as that
    set.items.push_back({put.name, std::move(definition)});
  }
  change.under_way = set.items.size();
  call(std::move(set), ForTopicsSet{});
}

void Core::on_topics_set(const Result<store::Answer>& answer) {
  const auto* set = answer ? std::get_if<store::TopicsSet>(&*answer) : nullptr;
  // Whether Redis has it only a reading of the topics can tell, and that is how a broker starts.
  if (!answer && answer.error().kind == ErrorKind::kReconnect) {
    end(reconnect("a topic's change has an unknown outcome, starting anew: " +
                  answer.error().message));
  }
  if (ended_) return;  // whoever asked gets the successor's answer
  TopicChange& change = topic_changes_.front();
  const bool written = set && !set->full;
  for (; written && change.under_way > 0; --change.under_way) {
    topics_.put(std::move(change.puts[change.done++]));
  }
  if (written && change.done < change.puts.size()) return write_topics(change);
  if (change.done > 0) rebuild_router();
  if (written) {
    send(change.admin.peer, protocol::AdminReply{change.admin.request, std::move(change.answer)});
  } else if (set) {
    refuse_topics(change, too_many_topics());
  } else {
    refuse_admin(change.admin.peer, change.admin.request, refusal_of(answer.error()),
                 answer.error().message);
  }
  topic_changes_.pop_front();
  begin_topic_changes();
}

}  // namespace fanfare::broker
