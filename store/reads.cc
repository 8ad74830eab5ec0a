#include "store/reads.h"

#include <utility>

#include "store/keys.h"
#include "store/packed.h"
#include "store/row.h"

namespace fanfare::store {
namespace {

std::optional<Error> failed(const RedisReply& reply) {
  if (reply.lost()) return retry_later("Redis did not answer; try again");
  if (reply.is_error()) return retry_later("Redis: " + std::string{reply.text()});
  return std::nullopt;
}

Result<std::optional<protocol::ResultRecord>> read_result(const RedisReply& reply) {
  if (auto error = failed(reply)) return *std::move(error);
  if (reply.is_nil()) return std::optional<protocol::ResultRecord>{};
  const auto stored = view_stored_result(reply.text());
  if (!stored) return stored.error();
  auto record = protocol::unpack_result(stored->record);
  if (!record) return record.error();
  return std::optional{*std::move(record)};
}

}  // namespace

void Reads::has_function(const std::string& name, std::function<void(Result<bool>)> on_answer) {
  redis_.call({"HEXISTS", kFunctionsKey, name},
              [on_answer = std::move(on_answer)](const RedisReply& reply) {
                if (auto error = failed(reply)) return on_answer(*std::move(error));
                on_answer(reply.integer() != 0);
              });
}

void Reads::functions(std::function<void(Result<std::vector<std::string>>)> on_answer) {
  redis_.call({"HKEYS", kFunctionsKey},
              [on_answer = std::move(on_answer)](const RedisReply& reply) {
                if (auto error = failed(reply)) return on_answer(*std::move(error));
                std::vector<std::string> names;
                for (std::size_t i = 0; i < reply.size(); ++i) names.emplace_back(reply[i].text());
                on_answer(std::move(names));
              });
}

void Reads::result(const std::string& function, const protocol::EventId& event,
                   std::function<void(Result<std::optional<protocol::ResultRecord>>)> on_answer) {
  const std::string key = results_key(function, event.entry);
  const std::string index = std::to_string(event.index);
  redis_.call({"FCALL_RO", "fanfare2_result", "1", key, index},
              [this, key, index, on_answer = std::move(on_answer)](const RedisReply& reply) {
                if (!reply.is_error() || !lacks_function(reply.text())) {
                  return on_answer(read_result(reply));
                }
                redis_.call({"HGET", key, index}, [on_answer](const RedisReply& field) {
                  on_answer(read_result(field));
                });
              });
}

}  // namespace fanfare::store
