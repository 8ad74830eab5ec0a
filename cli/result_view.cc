#include "cli/result_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "cli/attempts_view.h"
#include "cli/output.h"

namespace fanfare::cli {
namespace {

constexpr std::size_t kShownOutputMax = 4096;

std::string shown(std::string_view bytes) {
  if (!is_utf8(bytes)) return fmt::format("({} bytes that are not text)", bytes.size());
  if (bytes.size() <= kShownOutputMax) return std::string(bytes);
  std::size_t cut = kShownOutputMax;
  while (cut > 0 && (static_cast<unsigned char>(bytes[cut]) & 0xC0) == 0x80) --cut;
  return fmt::format("{}… ({} bytes in all; --json shows everything)", bytes.substr(0, cut),
                     bytes.size());
}

std::string indented(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += fmt::format("  {}\n", text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string format_log(const protocol::ResultRecord& record, bool colour) {
  if (record.log_tail.empty()) return {};
  return paint(Colour::kDim, "  log:", colour) + '\n' + indented(shown(record.log_tail));
}

}  // namespace

std::string format_result(const std::string& function, const protocol::ResultRecord& record,
                          bool colour, std::optional<protocol::EventId> letter_id) {
  const auto ledger = protocol::unpack_ledger(record.ledger);
  const std::size_t attempts = ledger ? protocol::count_attempts(*ledger) : 0;
  const bool succeeded = record.status == protocol::Status::kSucceeded;
  std::string out = fmt::format(
      "{} {} in {}, {} {}\n", paint(Colour::kBold, function, colour),
      paint(succeeded ? Colour::kGreen : Colour::kRed, protocol::to_string(record.status), colour),
      human_ms(
          static_cast<double>(std::max<std::int64_t>(0, record.ended_ms - record.accepted_ms))),
      attempts, attempts == 1 ? "attempt" : "attempts");
  if (!succeeded) {
    out += fmt::format("  {}: {}\n", record.error_type, record.error_message);
    if (record.reason && record.status != protocol::Status::kCancelled) {
      out += fmt::format("  dead letter: {}", protocol::to_string(*record.reason));
      if (letter_id)
        out += fmt::format("; see `fanfare dlq show {} {}`", function, to_string(*letter_id));
      out += '\n';
    }
  }
  if (!record.output.empty()) out += indented(shown(record.output));
  if (!succeeded) out += format_log(record, colour);
  return out;
}

std::string format_whole_result(const std::string& function, const protocol::ResultRecord& record,
                                bool colour, std::optional<protocol::EventId> letter_id) {
  std::string out = format_result(function, record, colour, letter_id);
  if (record.status == protocol::Status::kSucceeded) out += format_log(record, colour);
  // A ledger that cannot be read hides no result.
  const auto ledger = protocol::unpack_ledger(record.ledger);
  const std::vector<protocol::AttemptRow> rows =
      ledger ? *ledger : std::vector<protocol::AttemptRow>{};
  out += indented(format_attempts(rows, colour));
  out += fmt::format("  {}\n", format_totals(protocol::totals_of(record, rows)));
  return out;
}

std::string results_json(const Results& results, const protocol::EventId& id) {
  std::string out = "[";
  for (const auto& [function, record] : results) {
    if (out.size() > 1) out += ',';
    out += protocol::to_json(record, id, function);
  }
  return out + ']';
}

}  // namespace fanfare::cli
