// Topics and who subscribes to them: what Redis holds, and what changes are asked for would make of
// it.
//
// Topics come from two sides: from triggers.toml, which the gateway declares as a whole when it
// starts, and from operators. Each changes its own, and what it takes back stays if the other wants
// it, too: a topic, and the subscription of a function.
//
// No I/O; lives with the broker's core, which writes a change to Redis first and puts it here once
// Redis has it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/topic.h"
#include "protocol/pattern.h"
#include "store/topic_calls.h"

namespace fanfare::broker {

inline constexpr std::size_t kSubscriptionsMax = 256;  // of a topic
// Of all topics together. What they come to with an answer's trimmings fits into a frame.
struct TopicBounds {
  std::size_t topics = store::kTopicsMax;
  std::size_t subscriptions = 10'000;
  std::size_t bytes = 8u << 20;  // of definitions and names
};

// What a topic is to become; nothing: it goes.
struct TopicPut {
  std::string name;
  std::optional<Topic> topic;
};
struct TopicChanges {
  std::vector<TopicPut> puts;  // those that go first; none: all is as it should be
  std::string answer;          // to whoever asked, JSON
};

Error too_many_topics(std::size_t topics_max = store::kTopicsMax);

class TopicTable {
 public:
  using IsDeployed = std::function<bool(const std::string& function)>;

  explicit TopicTable(TopicBounds bounds = {}) : bounds_(bounds) {}

  struct Held {
    Topic topic;
    // Of its subscriptions, in their order; compiled once, as each change makes the matcher anew.
    std::vector<Result<protocol::Pattern>> patterns;
  };
  const std::map<std::string, Held>& topics() const { return topics_; }
  // A text that cannot be read takes the place of the topic: kReject says why.
  Result<void> load(const std::string& name, std::string_view definition);
  void put(TopicPut put);

  // A function may subscribe before it is deployed; the answer says so, and it gets what is
  // published once it is.
  //
  // What `verb` would do: add_topic, remove_topic, subscribe, unsubscribe or declare_topics, with
  // its body as docs/protocol.md has it. kReject says what is wrong with it and what to do.
  Result<TopicChanges> changes(std::string_view verb, std::string_view body,
                               const IsDeployed& is_deployed) const;
  // kReject says what there would be too much of. What does not grow is taken, however large it is.
  Result<void> room_for(const std::vector<TopicPut>& puts) const;

  // The topics to which a function subscribes.
  std::vector<std::string> topics_of(std::string_view function) const;
  // {"topics":[…]}, all or the one of that name.
  std::string answer(std::string_view name, const IsDeployed& is_deployed) const;

 private:
  Error unknown(const std::string& name) const;
  Result<TopicChanges> declare(std::string_view body, const IsDeployed& is_deployed) const;

  // What topics come to: the bounds above are about these.
  struct Size {
    std::size_t topics = 0, subscriptions = 0, bytes = 0;
    Size& operator+=(const Size& more);
    Size& operator-=(const Size& less);
  };
  static Size size_of(const std::string& name, const Topic& topic);

  std::map<std::string, Held> topics_;
  Size all_;
  TopicBounds bounds_;
};

}  // namespace fanfare::broker
