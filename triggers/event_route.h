// POST /events: CloudEvents, in each of their three forms.
#pragma once

#include "triggers/gateway.h"
#include "triggers/publishing.h"

namespace fanfare::triggers {

class EventRoute : public Route {
 public:
  EventRoute(client::Client& client, PublishCounters& counters, std::size_t body_bytes_max)
      : client_(client), counters_(counters), body_bytes_max_(body_bytes_max) {}
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;

 private:
  client::Client& client_;
  PublishCounters& counters_;
  std::size_t body_bytes_max_;
};

}  // namespace fanfare::triggers
