#include "cli/receipt_view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/output.h"

namespace fanfare::cli {

std::string format_receipt(const client::Receipt& receipt, const std::string& type, bool colour) {
  std::string out = fmt::format("{}", paint(Colour::kBold, to_string(receipt.id), colour));
  if (receipt.duplicate) out += " (published before: this is the first one's id)";
  out += '\n';
  for (const auto& function : *receipt.functions) out += fmt::format("  → {}\n", function);
  if (receipt.functions->empty()) {
    out += fmt::format(
        "  no function subscribes to '{}': the event was accepted and counted as unmatched\n",
        type);
  }
  return out;
}

std::string receipt_json(const client::Receipt& receipt) {
  const std::string id = to_string(receipt.id);
  nlohmann::ordered_json json;
  json["id"] = id;
  json["deliveries"] = nlohmann::ordered_json::array();
  for (const auto& function : *receipt.functions) {
    json["deliveries"].push_back({{"function", function}, {"id", id}});
  }
  json["unmatched"] = receipt.functions->empty();
  if (receipt.duplicate) json["duplicate"] = true;
  return json.dump();
}

}  // namespace fanfare::cli
