#include "cli/store_call.h"

#include "store/arguments.h"
#include "store/decode.h"
#include "store/encode.h"
#include "store/error_table.h"

namespace fanfare::cli {

Result<store::Answer> call_store(RedisSync& redis, const store::Call& call) {
  if (auto fine = store::check(call); !fine) return fatal(fine.error().message);
  store::Arguments arguments;
  store::encode(call, std::nullopt, arguments);
  const auto reply = redis.call(arguments.all());
  if (!reply) return reply.error();
  if (!(*reply)->is_error()) return store::decode(call, **reply);
  if ((*reply)->text().starts_with("ERR Function not found")) {
    return reject(
        "Redis has not got this version's functions: start the installation once, its broker "
        "brings "
        "them along");
  }
  return store::to_error((*reply)->text());
}

}  // namespace fanfare::cli
