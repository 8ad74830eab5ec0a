#include "tests/support/ask.h"

#include <stdexcept>
#include <string>

namespace fanfare::test {

OwnedReply ask(RedisSync& redis, std::initializer_list<std::string_view> words) {
  auto reply = redis.call(words);
  if (!reply) throw std::runtime_error(reply.error().message);
  if ((*reply)->is_error()) throw std::runtime_error(std::string((*reply)->text()));
  return *std::move(reply);
}

}  // namespace fanfare::test
