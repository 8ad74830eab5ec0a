#include "tests/chaos/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>

namespace fanfare::chaos {
namespace {

std::string why_not(const Scenario& scenario, const Run& run, const Outcome& outcome,
                    const Verdict& verdict) {
  if (outcome.times == 0) return "the fault was never injected";
  if (verdict.sent == 0 || verdict.executions == 0) return "nothing happened";
  if (!run.without()) return verdict.kept_all() ? "" : "a promise was broken";
  const bool noticed = std::any_of(scenario.bites.begin(), scenario.bites.end(),
                                   [&](Invariant invariant) { return verdict.broken(invariant); });
  return noticed ? "" : "the checker noticed nothing without " + scenario.without;
}

std::string broken_ones(const Verdict& verdict) {
  std::string text;
  for (std::size_t i = 1; i < verdict.count.size(); ++i) {
    if (verdict.count[i] == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} × {}", verdict.count[i], name_of(static_cast<Invariant>(i)));
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

Judged judge(const Scenario& scenario, const Run& run) {
  Judged judged;
  judged.outcome = scenario.run(run);
  judged.verdict = check(judged.outcome.history);
  judged.why = why_not(scenario, run, judged.outcome, judged.verdict);
  return judged;
}

Table make_table(const std::vector<Scenario>& scenarios, const Run& run) {
  Table table;
  table.markdown =
      "| scenario | what is done | times | acknowledged | executions | lost | the control goes "
      "without | what it broke | again |\n|---|---|---|---|---|---|---|---|---|\n";
  auto add_elsewhere = [&, next = elsewhere()](int up_to) mutable {
    for (; !next.empty() && next.front().number < up_to; next.erase(next.begin())) {
      const Elsewhere& one = next.front();
      table.markdown += fmt::format("| {} {} | {} | | | | | | | {} |\n", one.number, one.name,
                                    one.injected, one.where);
    }
  };
  for (const Scenario& scenario : scenarios) {
    if (scenarios.size() > 1) add_elsewhere(scenario.number);
    Run plain = run, control = run;
    plain.control = false;
    control.control = true;
    control.lengthy = false;
    fmt::print("{} {}\n", scenario.number, scenario.name);
    std::fflush(stdout);
    Run check = control;
    check.self_check = true;
    Judged held, broken, checked;
    try {
      held = judge(scenario, plain);
      broken = judge(scenario, control);
      if (scenario.own_faults) checked = judge(scenario, check);
    } catch (const CannotHere& reason) {
      fmt::print("not run: {}\n", reason.what());
      table.markdown +=
          fmt::format("| {} {} | {} | not run here: {} | | | | | | |\n", scenario.number,
                      scenario.name, scenario.injected, reason.what());
      continue;
    }
    for (const Judged* one : {&held, &broken, &checked}) {
      if (one->why.empty()) continue;
      fmt::print("FAILED: {}\n{}{}\n", one->why, describe(one->verdict), one->outcome.logs);
      table.as_it_must_be = false;
    }
    table.markdown += fmt::format(
        "| {} {} | {} | {} | {} | {} | {}{} | {} | {} | `--scenario {} --seed {}{}` |\n",
        scenario.number, scenario.name, scenario.injected, held.outcome.times,
        held.verdict.acknowledged, held.verdict.executions, held.verdict.lost,
        held.why.empty() ? "" : ", FAILED: " + held.why, scenario.without,
        broken_ones(broken.verdict), scenario.number, plain.seed, plain.lengthy ? " --long" : "");
    for (const Figure& figure : held.outcome.figures) {
      table.markdown += fmt::format("| | {}: {:.1f} | | | | | | | |\n", figure.what, figure.value);
    }
  }
  if (scenarios.size() > 1) add_elsewhere(std::numeric_limits<int>::max());
  return table;
}

bool put_into(const std::string& document, const std::string& markdown) {
  std::ifstream in(document);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::string begin = "<!-- table: begin -->\n", end = "<!-- table: end -->";
  const std::size_t from = text.find(begin), to = text.find(end);
  if (from == std::string::npos || to == std::string::npos || to < from) return false;
  text.replace(from + begin.size(), to - from - begin.size(), markdown);
  std::ofstream(document) << text;
  return true;
}

}  // namespace fanfare::chaos
