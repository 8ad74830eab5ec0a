#include "cli/shipped.h"

#include "store/keys.h"
#include "store/row.h"

namespace fanfare::cli {

Result<Shipped> Shipped::read(RedisSync& redis) {
  Shipped shipped;
  for (const auto& [key, into] : {std::pair{store::kFunctionsKey, &shipped.registered_},
                                  std::pair{store::kShippedKey, &shipped.ours_}}) {
    const auto reply = redis.call({"HGETALL", key});
    if (!reply) return reply.error();
    if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
    for (std::size_t i = 0; i + 1 < (*reply)->size(); i += 2) {
      (*into)[std::string((**reply)[i].text())] = (**reply)[i + 1].text();
    }
  }
  for (auto& [name, value] : shipped.registered_) {
    const auto registered = store::unpack_registered(name, value);
    value = registered ? registered->digest : std::string{};
  }
  return shipped;
}

bool Shipped::wanted(const std::string& name, const std::string& digest) const {
  if (registered_.empty() && ours_.empty()) return true;
  const auto now = registered_.find(name);
  const auto ours = ours_.find(name);
  if (now == registered_.end() || ours == ours_.end()) return false;
  return now->second == ours->second && now->second != digest;
}

Result<void> Shipped::deployed(RedisSync& redis, const std::string& name,
                               const std::string& digest) {
  const auto reply = redis.call({"HSET", store::kShippedKey, name, digest});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  return {};
}

}  // namespace fanfare::cli
