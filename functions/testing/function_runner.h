// Runs a function in a test as a worker would: its own zygote, its own instance, one event at a
// time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/event.h"
#include "store/model_rows.h"
#include "worker/instance_handle.h"
#include "worker/zygote_client.h"

namespace fanfare::testing {

class FunctionRunner {
 public:
  // `path` of the shared object. Waits until the function is initialised.
  static Result<std::unique_ptr<FunctionRunner>> start(
      const std::string& path, std::vector<std::pair<std::string, std::string>> env = {});

  static Result<std::unique_ptr<FunctionRunner>> start(const worker::ZygoteOptions& options);

  // Runs the handler on one event and waits for its result; an instance is forked if there is none.
  // Fails the way a worker would say it if the instance ends instead.
  // `together`: as a batch of one.
  worker::ItemResult run(const protocol::Event& event, std::uint32_t attempt = 1,
                         bool together = false);
  // The same for an event of which only type and data matter.
  worker::ItemResult run(std::string type, std::string data);

  // The function's store: what it reads, and where the writes of its successes go.
  store::ModelRows& store() { return store_; }

  // Answers what the function invokes; until it is set that is refused.
  std::function<worker::InvokeAnswer(const worker::InvokeRequest&)> invoked;

  worker::ZygoteClient& zygote() { return *zygote_; }
  worker::InstanceHandle* instance() { return instance_.get(); }
  // Waits for the next event of the zygote; nothing after half a minute.
  std::optional<worker::ZygoteEvent> next_event();
  void fork();  // a new instance, and waits until its pid is known

 private:
  void serve_store();
  void serve_invocation();
  explicit FunctionRunner(std::unique_ptr<worker::ZygoteClient> zygote)
      : zygote_(std::move(zygote)) {}

  std::unique_ptr<worker::ZygoteClient> zygote_;
  std::unique_ptr<worker::InstanceHandle> instance_;
  store::ModelRows store_;
  std::vector<worker::ZygoteEvent> events_;
  std::uint64_t runs_ = 0;
};

}  // namespace fanfare::testing
