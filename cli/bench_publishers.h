// Publishers of a benchmark: threads, each with a loop and a connection of its own, that push
// events as fast as they are acknowledged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "cli/verbs.h"
#include "client/client.h"

namespace fanfare::cli {

class BenchPublishers {
 public:
  // Starts at once: command.events of them over command.publishers, each of which publishes the
  // packed events in turns.
  BenchPublishers(client::ClientOptions broker, std::vector<std::string> packed,
                  const BenchCommand& command);
  ~BenchPublishers();
  BenchPublishers(const BenchPublishers&) = delete;
  BenchPublishers& operator=(const BenchPublishers&) = delete;

  struct Acknowledged {
    std::int64_t last_ns = 0;        // CLOCK_MONOTONIC
    std::vector<double> latency_us;  // of a sample
  };
  // Waits until all are acknowledged; the first error if one was not.
  Result<Acknowledged> wait();

 private:
  struct Share;
  void publish(Share& share) const;

  client::ClientOptions broker_;
  std::vector<std::string> packed_;
  std::vector<std::unique_ptr<Share>> shares_;
  std::vector<std::thread> threads_;
};

}  // namespace fanfare::cli
