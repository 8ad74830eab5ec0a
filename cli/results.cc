#include "cli/results.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "store/keys.h"
#include "store/packed.h"
#include "store/row.h"

namespace fanfare::cli {

using namespace std::chrono_literals;

Result<std::optional<protocol::ResultRecord>> read_result(RedisSync& redis,
                                                          const std::string& function,
                                                          const protocol::EventId& id) {
  const std::string key = store::results_key(function, id.entry);
  auto reply = redis.call({"FCALL_RO", "fanfare2_result", "1", key, std::to_string(id.index)});
  if (reply && (*reply)->is_error() && store::lacks_function((*reply)->text())) {
    reply = redis.call({"HGET", key, std::to_string(id.index)});
  }
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  if ((*reply)->is_nil()) return std::optional<protocol::ResultRecord>{};
  const auto stored = store::view_stored_result((*reply)->text());
  if (!stored) return stored.error();
  auto record = protocol::unpack_result(stored->record);
  if (!record) return record.error();
  return std::optional(*std::move(record));
}

Result<std::vector<std::string>> function_names(RedisSync& redis) {
  auto reply = redis.call({"HKEYS", store::kFunctionsKey});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < (*reply)->size(); ++i) names.emplace_back((**reply)[i].text());
  std::sort(names.begin(), names.end());
  return names;
}

Result<Results> read_results(RedisSync& redis, const std::vector<std::string>& functions,
                             const protocol::EventId& id) {
  Results results;
  for (const auto& function : functions) {
    auto record = read_result(redis, function, id);
    if (!record) return record.error();
    if (*record) results.emplace(function, **std::move(record));
  }
  return results;
}

Result<Results> wait_results(RedisSync& redis, client::BlockingClient& broker,
                             const std::vector<std::string>& functions, const protocol::EventId& id,
                             Duration timeout, const Meanwhile& meanwhile) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  auto results = read_results(redis, functions, id);
  Duration pause = 2ms;
  Duration patience = 50ms;
  while (results && results->size() < functions.size()) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= 0ms) break;
    const auto missing = std::find_if(functions.begin(), functions.end(),
                                      [&](const auto& name) { return !results->contains(name); });
    // A delivery may end between the look into Redis and the broker's hearing of the wait. It
    // remembers the latest, but not for long: short waits first.
    const std::size_t had = results->size();
    const auto asked = std::chrono::steady_clock::now();
    const auto awaited = broker.await(id, *missing, std::min<Duration>(left, patience));
    patience = std::min<Duration>(patience * 2, meanwhile ? kMeanwhileEvery : Duration{2s});
    if (!awaited) return awaited.error();
    results = read_results(redis, functions, id);
    // An answer that came at once and changed nothing: do not ask in a tight circle.
    const bool changed = results && results->size() > had;
    if (meanwhile && !changed) meanwhile();
    if (!changed && std::chrono::steady_clock::now() - asked < 1s) {
      std::this_thread::sleep_for(std::min<Duration>(pause, left));
      pause = std::min<Duration>(pause * 2, 200ms);
      results = read_results(redis, functions, id);
    }
  }
  return results;
}

}  // namespace fanfare::cli
