// Results of deliveries, read from Redis and waited for with the broker's help, without blocking.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/loop.h"
#include "client/client.h"
#include "protocol/record.h"
#include "store/reads.h"

namespace fanfare::triggers {

// Lives on the loop's thread. Reads and client must outlive what is pending here, and this them.
class ResultReader {
 public:
  ResultReader(Loop& loop, store::Reads& reads, client::Client& client)
      : loop_(loop), client_(client), reads_(reads) {}

  struct Question {
    protocol::EventId event;
    std::string function;  // empty: of all that have one
    Duration wait{};       // until it is there; of all functions: until none is pending
  };
  using Records = std::map<std::string, protocol::ResultRecord>;  // by function
  using OnRecords = std::function<void(Result<Records>)>;
  // What is there once there is enough, or the wait is over: it may be nothing. kRetryLater: Redis
  // cannot be asked just now.
  void read(Question question, OnRecords on_records);

 private:
  struct Reading;
  void look(const std::shared_ptr<Reading>& reading);
  void look_at(const std::shared_ptr<Reading>& reading, const std::string& function);
  void looked(const std::shared_ptr<Reading>& reading);
  void wait(const std::shared_ptr<Reading>& reading);

  Loop& loop_;
  client::Client& client_;
  store::Reads& reads_;
  std::shared_ptr<bool> life_ = std::make_shared<bool>(true);
};

}  // namespace fanfare::triggers
