#include "cli/shipped.h"

#include "store/keys.h"
#include "store/row.h"

namespace fanfare::cli {
namespace {

constexpr const char* kAllField = "*";  // no function is called that

Result<void> note(RedisSync& redis, const std::string& field, const std::string& value) {
  const auto reply = redis.call({"HSET", store::kShippedKey, field, value});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  return {};
}

}  // namespace

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
  shipped.all_deployed_ = shipped.ours_.erase(kAllField) > 0;
  for (auto& [name, value] : shipped.registered_) {
    const auto registered = store::unpack_registered(name, value);
    value = registered ? registered->digest : std::string{};
  }
  return shipped;
}

bool Shipped::wanted(const std::string& name, const std::string& digest) const {
  const auto now = registered_.find(name);
  const auto ours = ours_.find(name);
  if (!all_deployed_ && now == registered_.end()) return true;
  if (now == registered_.end() || ours == ours_.end()) return false;
  return now->second == ours->second && now->second != digest;
}

Result<void> Shipped::deployed(RedisSync& redis, const std::string& name,
                               const std::string& digest) {
  return note(redis, name, digest);
}

Result<void> Shipped::all_deployed(RedisSync& redis) {
  return note(redis, kAllField, "");
}

}  // namespace fanfare::cli
