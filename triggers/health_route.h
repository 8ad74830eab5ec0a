// GET /healthz, /readyz and /metrics. Public but for the last one.
#pragma once

#include <functional>
#include <string>

#include "triggers/gateway.h"

namespace fanfare::triggers {

// Answers with what a function says, and whether that is good.
class HealthRoute : public Route {
 public:
  struct Word {
    bool good = true;
    std::string text;
    std::string content_type = "text/plain; charset=utf-8";
  };
  HealthRoute(bool is_public, std::function<Word()> say)
      : public_(is_public), say_(std::move(say)) {}
  bool is_public() const override { return public_; }
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;

 private:
  bool public_;
  std::function<Word()> say_;
};

}  // namespace fanfare::triggers
