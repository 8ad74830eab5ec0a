// POST /topics/{topic}: a notification, for all who subscribe to the topic.
//
// Type notification.published, source /topics/{topic}. Taken are
//   the body as it is, of its own content type (without one, or with that of HTML forms, which curl
//   says of whatever it sends: JSON if it is JSON); Fanfare-Subject is its subject, and
//   Fanfare-Attributes a JSON object that filter policies look at;
//   SNS's notifications, which say so in x-amz-sns-message-type: MessageId is the event's id, so
//   that one that is sent again is a duplicate; and SNS's raw delivery.
// That SNS asks whether this is its subscriber is not answered from here: the log says at which
// address a person confirms it, if that is one of SNS.
//
// Topics are those of triggers.toml and those that the broker knows by its verbs; anything else is
// 404, unless the file has "*".
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/log.h"
#include "base/loop.h"
#include "protocol/sns_message.h"
#include "triggers/gateway.h"
#include "triggers/publishing.h"
#include "triggers/topic_definition.h"

namespace fanfare::triggers {

struct TopicCounters {
  std::uint64_t unknown = 0, malformed = 0, confirmations = 0;
};

// What a request to a topic says, without its options. kReject: it is none.
Result<protocol::Event> notification_of(const HttpExchange& exchange, std::string_view topic);
// What SNS has sent: by the head of the request.
bool is_of_sns(const HttpExchange& exchange);
// Whether an address is one at which SNS's subscriptions are confirmed:
// https://sns.REGION.amazonaws.com/…
bool is_address_of_sns(std::string_view url);

class TopicRoute : public Route {
 public:
  // `declared`: whether the broker knows the file's topics; until then they are not published to.
  TopicRoute(Loop& loop, client::Client& client, PublishCounters& published, Topics topics,
             std::size_t body_bytes_max, std::function<bool()> declared)
      : loop_(loop),
        client_(client),
        published_(published),
        topics_(std::move(topics)),
        body_bytes_max_(body_bytes_max),
        declared_(std::move(declared)) {}
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;
  const TopicCounters& counters() const { return counters_; }

 private:
  using Exchange = std::shared_ptr<HttpExchange>;

  void ask_for(const std::string& topic, const Exchange& exchange);
  void take(const std::string& topic, const Exchange& exchange);
  void confirm(const protocol::SnsMessage& message, const std::string& topic,
               const Exchange& exchange);

  static constexpr Duration kKnownFor = std::chrono::seconds{5};
  static constexpr std::size_t kKnownMax = 10'000;

  Loop& loop_;
  client::Client& client_;
  PublishCounters& published_;
  const Topics topics_;
  std::size_t body_bytes_max_;
  std::function<bool()> declared_;
  std::map<std::string, TimePoint, std::less<>> known_;  // to the broker, until when
  TopicCounters counters_;
  // Apart, so that what anybody may post hides nothing that SNS has sent.
  LogThrottle log_{std::chrono::seconds{1}}, log_not_sns_;
};

}  // namespace fanfare::triggers
