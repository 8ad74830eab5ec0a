// Topics: read when the broker starts, and changed as operators and the gateway ask.
//
// Changes are made one after the other, each by what the former one has left: so each is one write
// of one topic, and no two get into each other's way. What has changed counts for events that come
// after the answer.
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
  for (const auto& [name, topic] : topics_.topics()) {
    for (const Subscription& one : topic.subscriptions) {
      if (!is_deployed(one.function)) continue;
      const auto text = protocol::subscription_pattern(name, one.filter, one.scope);
      const auto pattern =
          text ? protocol::compile_pattern(*text) : Result<protocol::Pattern>{text.error()};
      if (pattern) {
        router_.subscribe(one.function, *pattern);
      } else {
        spdlog::error("topic {}: the stored subscription of {} cannot be used: {}", name,
                      one.function, pattern.error().message);
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
    if (changes && !changes->puts.empty()) {
      change.answer = std::move(changes->answer);
      change.unanswered = changes->puts.size();
      for (TopicPut& put : changes->puts) {
        store::SetTopic set{epoch_, put.name, put.topic ? to_json(*put.topic) : std::string{}};
        call(std::move(set), ForTopic{std::move(put)});
      }
      return;
    }
    if (changes) {
      send(change.admin.peer, protocol::AdminReply{change.admin.request, changes->answer});
    } else {
      refuse_admin(change.admin.peer, change.admin.request, protocol::Refusal::kInvalid,
                   changes.error().message);
    }
    topic_changes_.pop_front();
  }
}

void Core::on_topic_set(ForTopic& purpose, const Result<store::Answer>& answer) {
  const auto* set = answer ? std::get_if<store::TopicSet>(&*answer) : nullptr;
  // Whether Redis has it only a reading of the topics can tell, and that is how a broker starts.
  if (!answer && answer.error().kind == ErrorKind::kReconnect) {
    end(reconnect("a topic's change has an unknown outcome, starting anew: " +
                  answer.error().message));
  }
  if (ended_) return;  // whoever asked gets the successor's answer
  TopicChange& change = topic_changes_.front();
  if (!set) {
    change.failure = answer.error();
  } else if (set->full) {
    change.failure = retry_later(
        fmt::format("there are {} topics, the most there may be: remove some", store::kTopicsMax));
  } else {
    topics_.put(std::move(purpose.put));
  }
  if (--change.unanswered > 0) return;
  rebuild_router();
  if (change.failure) {
    refuse_admin(change.admin.peer, change.admin.request, refusal_of(*change.failure),
                 change.failure->message);
  } else {
    send(change.admin.peer, protocol::AdminReply{change.admin.request, std::move(change.answer)});
  }
  topic_changes_.pop_front();
  begin_topic_changes();
}

}  // namespace fanfare::broker
