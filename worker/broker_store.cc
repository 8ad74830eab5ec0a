#include "worker/broker_store.h"

#include <utility>

#include "store/relayed.h"

namespace fanfare::worker {

void BrokerStore::call(store::Call call, Done done) {
  // What a commit has waited for is there already; whoever reads may not want it any more by then.
  const auto later =
      std::holds_alternative<store::Commit>(call) ? Relay::Later::kKeepPlace : Relay::Later::kTell;
  auto message = store::to_message(std::move(call));
  if (!message) {
    return relay_.decline(message.error(),
                          [done = std::move(done)](auto why) { done(why.error()); });
  }
  std::visit(
      [&](auto& question) {
        relay_.ask(
            std::move(question),
            [done = std::move(done)](Result<protocol::Message> answer) {
              done(answer ? store::to_answer(*std::move(answer))
                          : Result<store::Answer>{answer.error()});
            },
            later);
      },
      *message);
}

}  // namespace fanfare::worker
