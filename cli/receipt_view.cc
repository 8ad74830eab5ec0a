#include "cli/receipt_view.h"

#include <fmt/format.h>

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

// Ids and functions' names need no escaping; with --lines there may be a hundred thousand a second.
std::string receipt_json(const client::Receipt& receipt) {
  const std::string id = to_string(receipt.id);
  std::string json = "{\"id\":\"" + id + "\",\"deliveries\":[";
  for (const auto& function : *receipt.functions) {
    if (json.back() == '}') json += ',';
    json += "{\"function\":\"" + function + "\",\"id\":\"" + id + "\"}";
  }
  json += receipt.functions->empty() ? "],\"unmatched\":true" : "],\"unmatched\":false";
  if (receipt.duplicate) json += ",\"duplicate\":true";
  return json += '}';
}

}  // namespace fanfare::cli
