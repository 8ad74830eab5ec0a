// fanfare doctor: looks at an installation and says what is wrong with it and what to do.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/checkup.h"
#include "cli/client_settings.h"
#include "cli/facts.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

using Level = Finding::Level;

std::string mark_of(Level level, bool colour) {
  const Colour colours[] = {Colour::kGreen, Colour::kYellow, Colour::kRed};
  return paint(colours[static_cast<std::size_t>(level)], to_string(level), colour);
}

// Errors have what to do about services on a line of its own.
std::string one_line(std::string text) {
  for (auto at = text.find('\n'); at != text.npos; at = text.find('\n', at)) {
    text.replace(at, 1, ". ");
  }
  return printable(text);
}

std::size_t how_many(const std::vector<Finding>& findings, Level level) {
  return static_cast<std::size_t>(std::ranges::count(findings, level, &Finding::level));
}

}  // namespace

int run_doctor(const Common& common) {
  const auto address = with_client_settings(common.address);
  if (!address) return fail(common.output, address.error());
  const Facts facts = gather_facts(*address);
  const std::vector<Finding> findings = examine(facts);
  const std::size_t warnings = how_many(findings, Level::kWarning);
  const std::size_t failures = how_many(findings, Level::kFailure);
  const int code = is_nobody_there(facts) ? kUnreachable : failures > 0 ? kFailed : kDone;
  if (common.output.json) {
    auto rows = nlohmann::ordered_json::array();
    for (const Finding& finding : findings) {
      rows.push_back({{"check", finding.check},
                      {"result", to_string(finding.level)},
                      {"seen", finding.seen},
                      {"advice", finding.advice}});
    }
    print_line(nlohmann::ordered_json{
        {"warnings", warnings}, {"failures", failures}, {"checks", std::move(rows)}}
                   .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return code;
  }
  for (const Finding& finding : findings) {
    const std::string gap(5 - to_string(finding.level).size(), ' ');
    fmt::print("{}{}{:<22} {}\n", mark_of(finding.level, common.output.colour_out), gap,
               finding.check, one_line(finding.seen));
    if (!finding.advice.empty()) fmt::print("     {:<22} → {}\n", "", printable(finding.advice));
  }
  fmt::print("{} checks, {} warnings, {} failures\n", findings.size(), warnings, failures);
  return code;
}

}  // namespace fanfare::cli
