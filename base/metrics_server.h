// A small HTTP endpoint for monitoring: /metrics, /healthz, /readyz. Loopback unless told
// otherwise.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/result.h"

namespace fanfare {

class MetricsServer {
 public:
  struct Answers {
    std::function<std::string()> metrics;  // Prometheus text
    std::function<bool()> ready;           // takes events
  };

  // Listens on `address` (host:port; port 0 picks a free one) on the loop's thread. kFatal if it
  // cannot.
  static Result<std::unique_ptr<MetricsServer>> start(Loop& loop, const std::string& address,
                                                      Answers answers);
  ~MetricsServer();
  std::uint16_t port() const;

 private:
  struct Impl;
  explicit MetricsServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace fanfare
