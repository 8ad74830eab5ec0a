#include "cli/webhook_state.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "cli/ask.h"
#include "cli/function_store.h"
#include "cli/store_call.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

const std::string kDisabledKey = "disabled";

}  // namespace

std::optional<DisabledWebhook> parse_disabled(std::string_view row, std::string_view url) {
  const auto json = ordered_json::parse(row, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return DisabledWebhook{"", std::string(row)};
  const std::string about = text_of(json, "url_sha256"), about_url = text_of(json, "url");
  if (!about.empty() && about != sha256_hex(url)) return std::nullopt;
  if (!about_url.empty() && about_url != url) return std::nullopt;
  return DisabledWebhook{text_of(json, "since"), text_of(json, "why")};
}

std::string disabled_row(std::string_view since, std::string_view why, std::string_view url) {
  return ordered_json{{"since", since}, {"why", why}, {"url_sha256", sha256_hex(url)}}.dump();
}

Result<std::optional<DisabledWebhook>> read_disabled(RedisSync& redis,
                                                     const WebhookDefinition& definition) {
  const auto rows = ask_store<store::Rows>(
      redis, store::GetRows{definition.name, to_ms(read_clocks().wall), {kDisabledKey}});
  if (!rows) return rows.error();
  if (rows->rows.empty()) return std::optional<DisabledWebhook>{};
  return parse_disabled(rows->rows.front().value, definition.url);
}

Result<void> write_disabled(const Address& address, const WebhookDefinition& definition,
                            const std::string& why) {
  auto opened = FunctionStore::open(address, definition.name);
  if (!opened) return opened.error();
  const std::string row = disabled_row(format_wall_time(read_clocks().wall), why, definition.url);
  const auto written = opened->put(kDisabledKey, row, std::nullopt);
  if (!written) return written.error();
  return {};
}

Result<bool> erase_disabled(const Address& address, const std::string& name) {
  auto opened = FunctionStore::open(address, name);
  if (!opened) {
    // Neither the function nor any row of it is there.
    if (opened.error().message.starts_with("not_found")) return false;
    return opened.error();
  }
  const auto erased = opened->erase(std::array{kDisabledKey});
  if (!erased) return erased.error();
  return *erased > 0;
}

}  // namespace fanfare::cli
