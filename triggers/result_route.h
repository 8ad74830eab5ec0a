// GET /results/{event}[/{function}]?wait=30s: what became of an event.
//
// One result is its record as JSON, and a CloudEvent in binary mode at the same time; with Accept:
// application/cloudevents+json in structured mode. Several are an array, or, with Accept:
// application/cloudevents-batch+json, a batch.
#pragma once

#include "triggers/gateway.h"
#include "triggers/result_reader.h"

namespace fanfare::triggers {

class ResultRoute : public Route {
 public:
  static constexpr Duration kWaitMax = std::chrono::minutes{5};

  explicit ResultRoute(ResultReader& reader) : reader_(reader) {}
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;

 private:
  ResultReader& reader_;
};

}  // namespace fanfare::triggers
